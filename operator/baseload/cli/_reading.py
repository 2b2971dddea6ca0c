"""Options that the commands share which read a cluster from a person's machine, and how they print."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

Decorated = Callable[..., Any]


def cluster_options(command: Decorated) -> Decorated:
    """Which cluster: `--kubeconfig` and `--context`, as kubectl has them."""
    for option in (
        click.option("--context", metavar="NAME", help="Context of the kubeconfig; default: its current one."),
        click.option("--kubeconfig", type=FILE, help="Default: KUBECONFIG, ~/.kube/config, or the pod's account."),
    ):
        command = option(command)
    return command


def prometheus_options(command: Decorated) -> Decorated:
    """Which Prometheus: the same options and variables as the operator's."""
    for option in (
        click.option(
            "--prometheus-ca-file",
            type=FILE,
            envvar="BASELOAD_PROMETHEUS_CA_FILE",
            help="File with the certificate authority of Prometheus.",
        ),
        click.option(
            "--prometheus-token-file",
            type=FILE,
            envvar="BASELOAD_PROMETHEUS_TOKEN_FILE",
            help="File with a bearer token for Prometheus.",
        ),
        click.option(
            "--prometheus-url", envvar="BASELOAD_PROMETHEUS_URL", help="The operator's Prometheus, as seen from here."
        ),
    ):
        command = option(command)
    return command


output_option = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the answer."
)


def console() -> Console:
    """A console that wraps nothing, so that commands can be copied, and has colours on a terminal only."""
    return Console(soft_wrap=True, highlight=False)
