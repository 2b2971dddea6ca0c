"""`baseload doctor`: find out what keeps Baseload from working, and say how to mend it."""

import asyncio
import json
import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.text import Text

from baseload.cli._reading import cluster_options, console, output_option, prometheus_options

if TYPE_CHECKING:
    from baseload.doctor.finding import Finding
    from baseload.doctor.probe import Door
    from baseload.doctor.report import Findings

SHOWN_OF_A_CHECK = 20
COLOURS = {"fault": "bold red", "warning": "yellow", "skipped": "dim", "ok": "green"}


@click.command()
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Look at the servings of one namespace only.")
@click.option(
    "--operator-namespace", default="baseload-system", show_default=True, help="Where the operator's account is."
)
@click.option(
    "--scrape-seconds",
    type=click.FloatRange(min=0.5, max=300.0),
    default=15.0,
    show_default=True,
    envvar="BASELOAD_SCRAPE_SECONDS",
    help="The operator's own --scrape-seconds.",
)
@cluster_options
@prometheus_options
@output_option
def doctor(
    *,
    namespace: str | None,
    operator_namespace: str,
    scrape_seconds: float,
    kubeconfig: Path | None,
    context: str | None,
    door: "Door | None",
    output: str,
) -> int:
    """Look for what keeps Baseload from working, and say how to mend it.

    It reads the cluster with your own kubeconfig, and Prometheus if a URL is given; it changes nothing and needs no
    operator. What you may not read is told as not checked.

    Exit codes: 0 no fault (warnings are none), 1 faults found, 2 usage.
    """
    # Imported here, so that `baseload --help` does not load the Kubernetes client.
    from baseload.doctor.checks.table import judge  # noqa: PLC0415
    from baseload.doctor.gather import Asked, gather  # noqa: PLC0415
    from baseload.doctor.report import as_json, exit_code  # noqa: PLC0415

    # What the operator's code logs about an object is a finding here.
    logging.getLogger("baseload").addHandler(logging.NullHandler())
    asked = Asked(namespace, kubeconfig, context, operator_namespace, scrape_seconds, door)
    findings = judge(asyncio.run(gather(asked)))
    if output == "json":
        click.echo(json.dumps(as_json(findings), indent=2))
    else:
        show(findings, console())
    return exit_code(findings)


def show(findings: "Findings", screen: Console) -> None:
    """Print one line for each finding, its remedy below it, and the sum; a long list of one check is cut."""
    from baseload.doctor.report import summary  # noqa: PLC0415

    shown: Counter[tuple[str, str]] = Counter()
    for check, finding in findings:
        shown[check, finding.level.value] += 1
        if shown[check, finding.level.value] <= SHOWN_OF_A_CHECK:
            _show_finding(check, finding, screen)
    for (check, level), count in shown.items():
        if count > SHOWN_OF_A_CHECK:
            screen.print(Text(f"{check}: {count - SHOWN_OF_A_CHECK} more of {level}; -o json has all of them"))
    screen.print()
    screen.print(Text(summary(findings), style="bold"))


def _show_finding(check: str, finding: "Finding", screen: Console) -> None:
    level = finding.level.value
    subject = f"{finding.subject}: " if finding.subject else ""
    screen.print(Text.assemble((f"{level:<9}", COLOURS[level]), (f"{check:<20}", "bold"), f"{subject}{finding.found}"))
    if finding.remedy:
        screen.print(Text.assemble(" " * 10, ("to do: ", "green"), finding.remedy))
