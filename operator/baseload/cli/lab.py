"""`baseload lab`: a real Kubernetes control plane on this machine, without containers."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import get_args

import click
from rich.console import Console
from rich.table import Table

from baseload.errors import ConfigError, LabError
from baseload.lab.build import EXTRAS, ensure_tool
from baseload.lab.cluster import ComponentStatus, Lab, LabOptions
from baseload.lab.network import NetworkMode

_QUIET_PROGRESS_SECONDS = 15.0

_name_option = click.option("--name", default="default", show_default=True, help="Which lab; several can run.")
_with_option = click.option(
    "--with",
    "extras",
    type=click.Choice(sorted(EXTRAS)),
    multiple=True,
    help="Also build a tool that a lab does not need; repeatable.",
)


@click.group()
def lab() -> None:
    """Start, use and stop an embedded Kubernetes with Prometheus."""


@lab.command()
@_name_option
@click.option(
    "--network",
    type=click.Choice(get_args(NetworkMode)),
    default="auto",
    show_default=True,
    help="A network namespace of its own, or this machine's loopback interface; auto prefers the namespace.",
)
@click.option(
    "--scrape-seconds",
    type=click.IntRange(min=1, max=300),
    default=2,
    show_default=True,
    help="Prometheus' scrape interval.",
)
@click.option(
    "--api-server-arg",
    "api_server_args",
    multiple=True,
    metavar="FLAG",
    help="Another flag for kube-apiserver; repeatable.",
)
@_with_option
def up(
    name: str,
    network: NetworkMode,
    scrape_seconds: int,
    api_server_args: tuple[str, ...],
    extras: tuple[str, ...],
) -> None:
    """Start a lab, or what is missing of it; the first time this builds it from source.

    The cluster starts empty each time. A lab that runs already is left as it is.
    """
    handle = Lab(name)
    started_at_seconds = time.monotonic()
    with _stoppable(), _progress() as progress:
        _build_extras(extras, progress)
        started = handle.up(LabOptions(network, scrape_seconds, api_server_args), progress)
    if started:
        click.echo(f"lab {name} is up after {time.monotonic() - started_at_seconds:.1f} s")
    else:
        click.echo(f"lab {name} was up already")
    click.echo(f"  baseload lab exec --name {name} -- kubectl get nodes\n  baseload lab shell --name {name}")


@lab.command()
@_name_option
def down(name: str) -> None:
    """Stop everything the lab started, also after a crash, and forget its data; logs stay."""
    stopped = Lab(name).down()
    click.echo(f"lab {name} is down" if stopped else f"lab {name} was down already")


@lab.command()
@_name_option
def status(name: str) -> int:
    """Show the lab's processes; exit code 0 only if all of them run."""
    handle = Lab(name)
    current = handle.status()
    if current.network is None:
        click.echo(f"lab {name} is down; start it with `baseload lab up --name {name}`")
        return 1
    table = Table(title=f"lab {name} ({current.network})", title_justify="left")
    for column in ("component", "state", "pid", "memory"):
        table.add_column(column, justify="right" if column in {"pid", "memory"} else "left")
    for component in (*current.components, *current.others):
        table.add_row(*_row(component))
    Console().print(table)
    click.echo(f"API server {handle.api_url}, Prometheus {handle.prometheus_url}, files {handle.directory}")
    return 0 if current.running else 1


@lab.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, no_args_is_help=True
)
@_name_option
@click.option("--up", "start", is_flag=True, help="Start the lab if it is down, and stop it again afterwards.")
@_with_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(name: str, start: bool, extras: tuple[str, ...], command: tuple[str, ...]) -> int:
    """Run a command inside the lab's network, with KUBECONFIG set; exit with its code."""
    handle = Lab(name)
    with _stoppable():
        started = False
        if start:
            with _progress() as progress:
                # The lab's network leads nowhere, so what is fetched is fetched before it is entered.
                _build_extras(extras, progress)
                started = handle.up(progress=progress)
        _require_running(handle)
        try:
            return _run(handle, command)
        finally:
            if started:
                handle.down()


@lab.command()
@_name_option
def shell(name: str) -> int:
    """Open a shell inside the lab's network, with KUBECONFIG set."""
    handle = Lab(name)
    _require_running(handle)
    click.echo(f"Inside lab {name}: kubectl works, Prometheus is {handle.prometheus_url}. Leave with exit.", err=True)
    return _run(handle, (os.environ.get("SHELL", "sh"),))


@lab.command()
@_name_option
@click.option("--lines", type=click.IntRange(min=1), default=50, show_default=True, help="How many of the last lines.")
@click.argument("component", required=False)
def logs(name: str, lines: int, component: str | None) -> None:
    """Show the last lines of a component's log; without COMPONENT, say which logs there are."""
    handle = Lab(name)
    folder = handle.log("any").parent
    known = sorted(path.stem for path in folder.glob("*.log"))
    if component is None:
        for path in sorted(folder.glob("*.log")):
            click.echo(f"{path.stem:<26} {path.stat().st_size:>12,} bytes  {path}")
        if not known:
            click.echo(f"lab {name} has no logs: it was never started")
        return
    if component not in known:
        raise ConfigError(
            f"COMPONENT {component!r} has no log in lab {name!r}; it is one of {', '.join(known) or 'none'}"
        )
    content = handle.log(component).read_text(errors="replace").splitlines()
    click.echo("\n".join(content[-lines:]))


def _build_extras(extras: tuple[str, ...], progress: Callable[[str], None]) -> None:
    for extra in extras:
        ensure_tool(EXTRAS[extra], progress)


def _row(component: ComponentStatus) -> tuple[str, str, str, str]:
    colour = {"running": "green", "stopped": "yellow", "crashed": "red"}[component.state]
    pid = str(component.pid) if component.pid else ""
    memory = f"{component.memory_bytes / 2**20:.0f} MiB" if component.memory_bytes else ""
    return component.name, f"[{colour}]{component.state}[/{colour}]", pid, memory


def _require_running(handle: Lab) -> None:
    broken = [component.name for component in handle.status().components if component.state != "running"]
    if handle.status().network is None:
        raise LabError(f"lab {handle.name!r} is down; start it with `baseload lab up --name {handle.name}`")
    if broken:
        click.echo(f"baseload: warning: not running in lab {handle.name!r}: {', '.join(broken)}", err=True)


def _run(handle: Lab, command: tuple[str, ...]) -> int:
    """Run a command in the foreground as a shell would: it gets the terminal's signals, we return its code."""
    environment = handle.environment()
    if shutil.which(command[0], path=environment["PATH"]) is None:
        raise ConfigError(f"COMMAND {command[0]!r} was not found on PATH; give its path or install it")
    # Ctrl-C reaches the command by itself; ours is only to wait for it. Not SIG_IGN: children would inherit that.
    previous = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    process = subprocess.Popen(handle.command(command), env=environment)
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
        if process.poll() is None:
            process.terminate()
            process.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, so that whatever was started is stopped on the way out."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Give a callable that shows progress on stderr: one live line on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("starting") as live:
            yield live.update
        return
    shown: dict[str, float] = {}

    def show(message: str) -> None:
        topic = message.split(":", 1)[0]
        now = time.monotonic()
        if now - shown.get(topic, float("-inf")) >= _QUIET_PROGRESS_SECONDS:
            shown[topic] = now
            click.echo(message, err=True)

    yield show
