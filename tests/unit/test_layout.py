"""Guards for the source root's name, which the standard library has too, and for what the project pins."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LONGEST_FILE_LINES = 400


def direct_requirements() -> list[str]:
    """Return every requirement that pyproject.toml names: run time, extras and build."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    return [
        *PROJECT["project"]["dependencies"],
        *(requirement for extra in extras for requirement in extra),
        *PROJECT["build-system"]["requires"],
    ]


def source_files() -> list[Path]:
    """Return every Python file that people write."""
    folders = ("operator", "tests", "docs")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_source_root_is_no_package() -> None:
    """An operator/__init__.py would shadow the standard library's module and break Python itself."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert list((ROOT / "operator").glob("*.py")) == []


def test_no_tests_below_the_source_root() -> None:
    """Pytest would install a namespace module called operator for a test or conftest found there."""
    below = [path for path in (ROOT / "operator").rglob("*.py") if re.fullmatch(r"conftest|test_.*|.*_test", path.stem)]
    assert below == []


def test_standard_library_operator_wins_in_the_repository_root() -> None:
    """Python started in the root still imports its own operator module, also with the root first on its path."""
    code = "import operator; print(operator.add(1, 2), operator.__file__)"
    for environment in ({}, {"PYTHONPATH": "."}):
        command = [sys.executable, "-c", code]
        answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        result, file = answer.stdout.split(maxsplit=1)
        assert result == "3"
        assert not file.startswith(str(ROOT / "operator"))


def test_operator_module_is_the_real_one_under_pytest() -> None:
    """Nothing that pytest did on the way here replaced the standard library's module."""
    assert sys.modules["operator"].add(1, 2) == 3


def test_every_module_is_inside_a_package() -> None:
    """A folder of modules without __init__.py would be left out of the layers that import-linter checks."""
    folders = {path.parent for path in (ROOT / "operator" / "baseload").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("requirement", direct_requirements())
def test_lock_satisfies(requirement: str) -> None:
    """The lock pins a version that pyproject.toml allows for every direct requirement."""
    wanted = Requirement(requirement)
    pinned = [Requirement(line.split(" \\")[0]) for line in LOCK.splitlines() if "==" in line]
    versions = [
        next(iter(pin.specifier)).version
        for pin in pinned
        if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
    ]
    assert versions
    assert all(version in wanted.specifier for version in versions)


def test_lock_pins_hashes_and_no_place() -> None:
    """Every package has a hash, and the lock names no index and no folder: those are the user's choice."""
    entries = re.split(r"\n(?=[a-z0-9])", LOCK)
    pinned = [entry for entry in entries if "==" in entry]
    assert [entry.split()[0] for entry in pinned if "--hash=sha256:" not in entry] == []
    assert re.findall(r"^\s*-.*(?:index-url|find-links).*|://", LOCK, flags=re.MULTILINE) == []


def test_files_stay_short() -> None:
    """No Python file is longer than 400 lines: one idea a module."""
    long = [path for path in source_files() if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE_LINES]
    assert [str(path.relative_to(ROOT)) for path in long] == []
