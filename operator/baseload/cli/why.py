"""`baseload why`: tell in words why a ModelServing has the number of replicas that it has, or had."""

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from baseload.cli._reading import cluster_options, console, output_option, prometheus_options
from baseload.doctor.story import Line, Story
from baseload.doctor.times import parse_at

if TYPE_CHECKING:
    from baseload.doctor.probe import Door


@click.command()
@click.argument("name")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Default: the namespace of the kubeconfig's context.")
@click.option("--at", "at_text", metavar="TIME", help="Tell of then: 2026-11-24T16:38:00Z, or how long ago, as 10m.")
@cluster_options
@prometheus_options
@output_option
def why(
    *,
    name: str,
    namespace: str | None,
    at_text: str | None,
    kubeconfig: Path | None,
    context: str | None,
    door: "Door | None",
    output: str,
) -> int:
    """Tell in words why the ModelServing NAME has the number of replicas that it has.

    It tells what the operator wrote into the status, and needs no right but to read ModelServings. With --at it tells
    of the past as far as that is known: the status keeps the last five changes, the API server its events for about an
    hour, and Prometheus, where a URL is given, what the operator's own metrics said.

    Exit codes: 0 told; 1 there is no NAME, or the reason of that past is not known any more; 2 usage.
    """
    now = time.time()
    at = None if at_text is None else parse_at(at_text, now)
    story = asyncio.run(_tell((namespace, name, at), (kubeconfig, context), door, now))
    if output == "json":
        click.echo(json.dumps(story.as_json(), indent=2))
    else:
        show(story, console())
    return 0 if story.known else 1


def show(story: Story, screen: Console) -> None:
    """Print a story: the headline, then each section with what can be done below what it is about."""
    screen.print(Text(story.headline, style="bold"))
    for section in story.sections:
        screen.print()
        screen.print(Text(section.title, style="bold cyan"))
        for line in section.lines:
            _show_line(line, screen)


def _show_line(line: Line, screen: Console) -> None:
    screen.print(Text(f"  {line.text}"))
    if line.advice:
        screen.print(Text.assemble("    ", ("to do: ", "green"), line.advice))


async def _tell(
    asked: tuple[str | None, str, float | None],
    cluster: tuple[Path | None, str | None],
    door: "Door | None",
    now: float,
) -> Story:
    # Imported here, so that `baseload --help` does not load the Kubernetes client.
    from baseload.doctor.access import opened  # noqa: PLC0415
    from baseload.doctor.telling import Question, answer  # noqa: PLC0415
    from baseload.observe.prometheus import PrometheusSource  # noqa: PLC0415

    namespace, name, at = asked
    source = None if door is None else PrometheusSource(door.url, door.credentials)
    try:
        async with opened(*cluster) as access:
            return await answer(access, Question(namespace or access.namespace, name, at), source, now)
    finally:
        if source is not None:
            source.close()
