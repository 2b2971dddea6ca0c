"""`baseload operator`: run the operator in the foreground until SIGTERM or Ctrl-C."""

from pathlib import Path
from typing import Any

import click

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
PORT = click.IntRange(1, 65535)
INTERVAL = click.FloatRange(min=0.5, max=300.0)
LEASE = click.FloatRange(min=0.1, max=300.0)


@click.command(context_settings={"auto_envvar_prefix": "BASELOAD", "show_default": True})
@click.option("--prometheus-url", required=True, help="Prometheus (or a compatible API) that scrapes the replicas.")
@click.option("--prometheus-token-file", type=FILE, help="File with a bearer token for Prometheus, read each time.")
@click.option("--prometheus-basic-auth-file", type=FILE, help="File with `user:password`, read each time.")
@click.option("--prometheus-ca-file", type=FILE, help="File with the certificate authority of Prometheus.")
@click.option("--prometheus-certificate-file", type=FILE, help="File with our certificate, for mutual TLS.")
@click.option("--prometheus-key-file", type=FILE, help="File with the key of our certificate.")
@click.option("--kubeconfig", type=FILE, help="Default: the pod's service account.")
@click.option("--tick-seconds", type=INTERVAL, default=5.0, help="How often it decides.")
@click.option("--scrape-seconds", type=INTERVAL, default=15.0, help="How often Prometheus scrapes the replicas.")
@click.option("--metrics-port", type=PORT, default=8080, help="Port of /metrics and /readyz.")
@click.option("--liveness-port", type=PORT, default=8081, help="Port of /healthz.")
@click.option("--listen-address", default="0.0.0.0", help="Address of both ports.")  # noqa: S104 - the kubelet's probes
@click.option("--leader-elect/--no-leader-elect", default=True, help="Share the work with other replicas by a Lease.")
@click.option("--lease-name", default="baseload-operator", help="Name of the Lease.")
@click.option("--lease-namespace", help="Namespace of the Lease; default: the pod's, outside a pod baseload-system.")
@click.option("--lease-seconds", type=LEASE, default=15.0, help="How long others wait for a leader that went silent.")
@click.option("--lease-renew-seconds", type=LEASE, default=10.0, help="How long it leads without renewing the Lease.")
@click.option("--lease-retry-seconds", type=LEASE, default=2.0, help="How often it renews or looks at the Lease.")
@click.option("--choose-victims/--no-choose-victims", default=True, help="Let the least busy replicas go first.")
@click.option("--bucket-seconds", type=click.FloatRange(1.0, 3600.0), default=600.0, help="Time step of the planner.")
@click.option("--buckets-per-day", type=click.IntRange(24, 1440), default=144, help="Steps after which days repeat.")
@click.option("--planner-seconds", type=click.FloatRange(0.5, 600.0), default=60.0, help="How often it plans ahead.")
@click.option("--history", type=FILE, help="CSV or JSON lines with earlier demand: docs/how-to/history.md.")
@click.option("--economics-file", type=FILE, help="YAML with the currency and what missing capacity costs.")
@click.option("--log-format", type=click.Choice(["auto", "json", "text"]), default="auto", help="auto: text on a tty.")
def operator(
    *,
    leader_elect: bool,
    lease_seconds: float,
    lease_renew_seconds: float,
    lease_retry_seconds: float,
    log_format: str,
    economics_file: Path | None,
    **given: Any,  # noqa: ANN401 - every other option is a field of Settings, by the same name
) -> None:
    """Keep every ModelServing of the cluster inside its latency objective.

    Every option can also be set as BASELOAD_NAME, for example BASELOAD_PROMETHEUS_URL.

    Exit codes: 0 stopped, 1 it had to end, 2 a setting is wrong, 3 it led and lost the Lease.
    """
    # Imported here, so that `baseload --help` does not load kopf and the Kubernetes client.
    from baseload.control.economics import read_economics  # noqa: PLC0415
    from baseload.control.elector import LeaseTimes  # noqa: PLC0415
    from baseload.control.log import configure_logging  # noqa: PLC0415
    from baseload.control.loop import run  # noqa: PLC0415
    from baseload.control.operator import run_operator  # noqa: PLC0415
    from baseload.control.settings import Settings  # noqa: PLC0415
    from baseload.plan.pool_offer import NO_SETTINGS  # noqa: PLC0415

    configure_logging(log_format)
    times = LeaseTimes(lease_seconds, lease_renew_seconds, lease_retry_seconds) if leader_elect else None
    economics = NO_SETTINGS if economics_file is None else read_economics(economics_file)
    settings = Settings(**given, lease_times=times, economics=economics)
    run(lambda selector: run_operator(settings, selector))
