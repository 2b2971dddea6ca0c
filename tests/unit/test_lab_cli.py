"""What a person sees who types something wrong, or asks for help."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from baseload.cli.main import cli
from baseload.errors import ConfigError

BASELOAD = str(Path(sys.executable).with_name("baseload"))


def baseload(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line with a home folder of its own."""
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run([BASELOAD, *arguments], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lab", "up", "--scrape-seconds", "0"), ("--scrape-seconds", "0", "1<=x<=300")),
        (("lab", "up", "--network", "bridge"), ("--network", "'bridge'", "'namespace'")),
        (("lab", "up", "--name", "Not/A/Name"), ("'Not/A/Name'", "lower-case letters")),
        (("lab", "logs", "etcd"), ("'etcd'", "no log")),
        (("no-such-command",), ("no-such-command",)),
    ],
)
def test_wrong_input_is_named_and_ends_with_2(
    arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    """The message names what was wrong, its value and what is allowed; there is no traceback."""
    answer = baseload(*arguments, home=tmp_path)
    assert answer.returncode == 2
    assert all(word in answer.stderr for word in words), answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_lab_that_is_down(tmp_path: Path) -> None:
    """Status, exec and down of a lab that does not run say so, and how to start it."""
    status = baseload("lab", "status", home=tmp_path)
    assert (status.returncode, "baseload lab up" in status.stdout) == (1, True)
    execute = baseload("lab", "exec", "--", "true", home=tmp_path)
    assert (execute.returncode, "baseload lab up" in execute.stderr) == (1, True)
    down = baseload("lab", "down", home=tmp_path)
    assert (down.returncode, "down already" in down.stdout) == (0, True)


def test_an_unwritable_home_is_one_line(tmp_path: Path) -> None:
    """A home that is a file gives one line that names it, not a traceback."""
    home = tmp_path / "home"
    home.write_text("")
    answer = baseload("lab", "down", home=home)
    assert answer.returncode == 1
    assert str(home) in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_help_lists_the_commands(tmp_path: Path) -> None:
    """The group finds its commands by itself and shows one line for each."""
    answer = baseload("--help", home=tmp_path)
    assert answer.returncode == 0
    assert "lab" in answer.stdout
    assert "Start, use and stop" in answer.stdout


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command whose packages are not installed is left out of the help, and says on use what to install."""

    def nothing_installed(name: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'rich'", name="rich")

    monkeypatch.setattr(importlib, "import_module", nothing_installed)
    context = click.Context(cli)
    assert "lab" not in cli.list_commands(context)
    with pytest.raises(ConfigError, match=r"'lab' needs the package 'rich': install 'baseload\[lab,report\]'"):
        cli.get_command(context, "lab")
