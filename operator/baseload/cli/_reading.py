"""Options that the commands share which read a cluster from a person's machine, and how they print."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

POSITIVE = click.FloatRange(min=0, min_open=True)
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

Decorated = Callable[..., Any]

PROMETHEUS_FILES = {
    "--prometheus-token-file": "File with a bearer token for Prometheus.",
    "--prometheus-basic-auth-file": "File with `user:password`.",
    "--prometheus-ca-file": "File with the certificate authority of Prometheus.",
    "--prometheus-certificate-file": "File with your certificate, for mutual TLS.",
    "--prometheus-key-file": "File with the key of that certificate.",
}


def cluster_options(command: Decorated) -> Decorated:
    """Which cluster: `--kubeconfig` and `--context`, as kubectl has them."""
    for option in (
        click.option("--context", metavar="NAME", help="Context of the kubeconfig; default: its current one."),
        click.option("--kubeconfig", type=FILE, help="Default: KUBECONFIG, ~/.kube/config, or the pod's account."),
    ):
        command = option(command)
    return command


def prometheus_options(command: Decorated) -> Decorated:
    """Which Prometheus: the operator's own options and variables; the command gets one value, `door`."""

    @functools.wraps(command)
    def with_door(
        *,
        prometheus_url: str | None,
        prometheus_token_file: Path | None,
        prometheus_basic_auth_file: Path | None,
        prometheus_ca_file: Path | None,
        prometheus_certificate_file: Path | None,
        prometheus_key_file: Path | None,
        **others: Any,  # noqa: ANN401 - the command's own
    ) -> Any:  # noqa: ANN401 - the command's own
        # Imported here, so that `baseload --help` does not load the clients.
        from baseload.doctor.probe import Door  # noqa: PLC0415
        from baseload.observe.prometheus_auth import Credentials  # noqa: PLC0415

        credentials = Credentials(
            token_file=prometheus_token_file,
            basic_file=prometheus_basic_auth_file,
            ca_file=prometheus_ca_file,
            certificate_file=prometheus_certificate_file,
            key_file=prometheus_key_file,
        )
        return command(door=None if prometheus_url is None else Door(prometheus_url, credentials), **others)

    decorated: Decorated = with_door
    for name, words in reversed(PROMETHEUS_FILES.items()):
        variable = f"BASELOAD_{name.removeprefix('--').replace('-', '_').upper()}"
        decorated = click.option(name, type=FILE, envvar=variable, help=words)(decorated)
    words = "The operator's Prometheus, as seen from here."
    return click.option(
        "--prometheus-url", "--prometheus", "prometheus_url", envvar="BASELOAD_PROMETHEUS_URL", help=words
    )(decorated)


output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the answer."
)


def console() -> Console:
    """A console that wraps nothing, so that commands can be copied, and has colours on a terminal only."""
    return Console(soft_wrap=True, highlight=False)
