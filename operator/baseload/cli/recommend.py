"""`baseload recommend`: what Baseload would have done with a workload, from its past in Prometheus."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from baseload.cli._pools import read_pools
from baseload.cli._reading import FILE, POSITIVE, cluster_options, console, prometheus_options
from baseload.cli._replay_table import table_of
from baseload.cli._replaying import Replay, errors_console, replay_progress, write_json, write_pictures
from baseload.doctor.times import parse_duration
from baseload.errors import ApiError, ConfigError
from baseload.sim.money import Money

if TYPE_CHECKING:
    from baseload.advice.judge import Advice
    from baseload.advice.past import Asked, Past, Workload
    from baseload.doctor.probe import Door
    from baseload.sim.case import SimPool

_KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet"}
_PRICE_HINT = "no prices: give your CapacityPools with --pools FILE to see money"


@dataclass(frozen=True, slots=True)
class _Where:
    """Which workload of which cluster, and which Prometheus knows its past."""

    target: str
    namespace: str | None
    kubeconfig: Path | None
    context: str | None
    door: "Door | None"
    profile: str


@click.command()
@click.argument("target", metavar="KIND/NAME")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Default: the namespace of the kubeconfig's context.")
@click.option("--since", default="14d", show_default=True, help="How far to look back: 90m, 36h, 14d.")
@click.option("--profile", default="vllm", show_default=True, help="Metrics profile of the engine.")
@click.option("--itl-ms", type=POSITIVE, default=50.0, show_default=True, help="Objective: mean time between tokens.")
@click.option(
    "--attainment",
    type=click.FloatRange(50, 99.99),
    default=95.0,
    show_default=True,
    help="Percent inside that objective.",
)
@click.option("--pools", type=FILE, help="YAML with CapacityPools, for prices and lead times. [default: one pool]")
@click.option("--lead-minutes", type=POSITIVE, default=10.0, show_default=True, help="Of pools that do not say theirs.")
@click.option("--penalty", type=POSITIVE, default=20.0, show_default=True, help="Of a missing replica, in its prices.")
@click.option("--step-minutes", type=POSITIVE, default=10.0, show_default=True, help="How often is decided.")
@click.option("--scrape-seconds", type=POSITIVE, default=15.0, show_default=True, help="How often Prometheus scrapes.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="File for the results.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Folder for recommend.png and .html.")
@cluster_options
@prometheus_options
def recommend(
    *,
    target: str,
    namespace: str | None,
    since: str,
    profile: str,
    itl_ms: float,
    attainment: float,
    pools: Path | None,
    lead_minutes: float,
    penalty: float,
    step_minutes: float,
    scrape_seconds: float,
    json_path: Path | None,
    report: Path | None,
    kubeconfig: Path | None,
    context: str | None,
    door: "Door | None",
) -> None:
    """Say what Baseload would have done with KIND/NAME, beside what happened. Nothing is installed or changed.

    It needs your kubeconfig, to read the workload, and the Prometheus that scrapes its pods. Demand and replicas come
    from the past, what a replica carries is learned from it; then the past is replayed with Baseload deciding, which
    begins without knowing anything.
    """
    # Imported here, so that `baseload --help` does not load the clients.
    from baseload.advice.past import Asked  # noqa: PLC0415

    first, end = _buckets(since, 60 * step_minutes)
    where = _Where(target, namespace, kubeconfig, context, door, profile)
    past, accelerators = asyncio.run(_read(where, Asked(first, end, 60 * step_minutes, scrape_seconds)))
    chosen, money = read_pools(pools, 60 * lead_minutes, accelerators)
    advice = _judged(past, (itl_ms / 1000, attainment / 100), chosen, penalty)
    _tell(advice, past, accelerators, money)
    if json_path is not None:
        write_json(json_path, _record(advice, past, accelerators))
    if report is not None:
        _draw(report, advice, money)


def _buckets(since: str, bucket_seconds: float) -> tuple[int, int]:
    """The first bucket of the past that is asked for, and the one that is not complete yet."""
    end = int(time.time() // bucket_seconds)
    return end - int(parse_duration("--since", since) // bucket_seconds), end


def _judged(past: "Past", objective: tuple[float, float], pools: "Sequence[SimPool]", penalty: float) -> "Advice":
    """Replay the past with Baseload deciding, under an objective of inter-token seconds and a share of requests."""
    from baseload.advice.judge import advise  # noqa: PLC0415
    from baseload.sim.policies.registry import make_policies  # noqa: PLC0415

    policies = make_policies(["baseload"])
    with replay_progress(errors_console(), ["baseload"]) as told:
        return advise(past, objective, policies, pools=pools, penalty=penalty, progress=told)


def _draw(report: Path, advice: "Advice", money: Money) -> None:
    picture, page = write_pictures(report, "recommend", _replay(advice), money)
    console().print(f"picture {picture}, interactive {page}")


async def _read(where: _Where, asked: "Asked") -> "tuple[Past, int]":
    """Return the past of the workload, and the accelerators of one of its replicas."""
    from baseload.advice.past import PastReader  # noqa: PLC0415
    from baseload.doctor.access import opened  # noqa: PLC0415
    from baseload.observe.profiles import load_profiles  # noqa: PLC0415
    from baseload.observe.prometheus import PAST_TIMEOUT_SECONDS, PrometheusSource  # noqa: PLC0415

    if where.door is None:
        raise ConfigError("--prometheus is missing: give the URL of the Prometheus that scrapes the pods")
    profiles = load_profiles()
    if where.profile not in profiles:
        raise ConfigError(f"--profile {where.profile!r} is not known; use one of {', '.join(sorted(profiles))}")
    async with opened(where.kubeconfig, where.context) as access:
        workload, accelerators = await _workload(access, where)
    source = PrometheusSource(where.door.url, where.door.credentials, timeout_seconds=PAST_TIMEOUT_SECONDS)
    try:
        return await PastReader(source, workload, profiles[where.profile], asked).read(), accelerators
    finally:
        source.close()


async def _workload(access: Any, where: _Where) -> "tuple[Workload, int]":  # noqa: ANN401 - imported late
    """Find the workload; ConfigError if there is none, ApiError if it may not be read."""
    from baseload.advice.past import Workload  # noqa: PLC0415
    from baseload.doctor.access import Unread  # noqa: PLC0415
    from baseload.observe.placement import pod_shape  # noqa: PLC0415

    kind, _, name = where.target.partition("/")
    namespace = where.namespace or access.namespace
    known = _KINDS.get(kind.lower().removesuffix("s"))
    if known is None or not name:
        raise ConfigError(f"KIND/NAME {where.target!r} is not of the form deployment/NAME or statefulset/NAME")
    found = await access.one(f"/apis/apps/v1/namespaces/{namespace}/{known.lower()}s/{name}")
    if found is None:
        raise ConfigError(f"there is no {known} {name!r} in namespace {namespace!r}; name another with -n")
    if isinstance(found, Unread):
        raise ApiError(f"{known} {name!r} cannot be read: {found.why}")
    shape = pod_shape(found["spec"]["template"]["spec"])
    return Workload(namespace, known, name), max((count for _, count in shape.requests), default=1)


def _replay(advice: "Advice") -> Replay:
    return Replay(advice.case, advice.scores, advice.trajectories)


def _tell(advice: "Advice", past: "Past", accelerators: int, money: Money) -> None:
    screen = console()
    screen.print(table_of(_replay(advice), money, accelerators=accelerators))
    screen.print(
        f"a replica carries {advice.tokens_per_second:,.0f} output tokens a second inside the objective, on"
        f" {accelerators} GPU{'s' * (accelerators > 1)}; replicas as told by {past.replicas_from}"
    )
    hints = advice.hints if money.unit == "$" else (*advice.hints, _PRICE_HINT)
    for hint in hints:
        screen.print(f"[yellow]note[/] {hint}")


def _record(advice: "Advice", past: "Past", accelerators: int) -> dict[str, Any]:
    return {
        "workload": f"{past.workload.namespace}/{past.workload.label}",
        "tokens_per_second_of_a_replica": round(advice.tokens_per_second, 1),
        "accelerators_of_a_replica": accelerators,
        "replicas_from": past.replicas_from,
        "hints": list(advice.hints),
        "results": [
            {**score.record(), "gpu_hours": round(score.replica_hours * accelerators, 2)} for score in advice.scores
        ],
    }
