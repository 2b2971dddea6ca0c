"""The `baseload` command: one group whose commands are the modules of this package.

A module `baseload.cli.NAME` that defines a click command called NAME is the command NAME. Modules are imported only
when their command is used or listed, so that no command pays for another's imports.
"""

import importlib
import pkgutil
import sys

import click

import baseload.cli
from baseload import __version__
from baseload.errors import BaseloadError, ConfigError

_INTERRUPTED = 130


class _LazyGroup(click.Group):
    """A group that finds its commands among the modules of `baseload.cli`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in _module_names() if self._usable(ctx, name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        if cmd_name not in _module_names():
            return None
        try:
            module = importlib.import_module(f"baseload.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] == "baseload":
                raise
            raise ConfigError(
                f"command {cmd_name!r} needs the package {error.name!r}: install 'baseload[lab,report]'"
            ) from error
        command = getattr(module, cmd_name, None)
        return command if isinstance(command, click.Command) else None

    def _usable(self, ctx: click.Context, name: str) -> bool:
        """Whether `name` is a command whose packages are installed: the operator's image has only its own."""
        try:
            return self.get_command(ctx, name) is not None
        except ConfigError:
            return False


def _module_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(baseload.cli.__path__) if module.name != "main")


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="baseload")
def cli() -> None:
    """Keep AI models inside their latency objective at the least cost."""


def main() -> None:
    """Run the command line and end the process.

    Exit codes: 0 done, 1 it failed, 2 something a person wrote is wrong, 130 interrupted; `lab exec` passes on its
    command's own code. Errors are one line on stderr, never a traceback.
    """
    try:
        result = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("baseload: interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except BaseloadError as error:
        click.echo(f"baseload: error: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except OSError as error:
        # A full disk, a folder that may not be written: the message names the file, a traceback would add nothing.
        click.echo(f"baseload: error: {error}", err=True)
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)


if __name__ == "__main__":
    main()
