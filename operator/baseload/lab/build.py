"""Build the control plane's binaries from Go modules into the user's cache, once.

Each folder under `tools/` holds a go.mod whose `tool` lines name the commands, and no Go code. Binaries go to a folder
named by a hash of go.mod, go.sum and flags, so another version of Baseload builds again and an equal one does not.
An interrupted build resumes: Go's own build cache keeps every package that was done.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from baseload.errors import BuildError
from baseload.lab.paths import cache_directory
from baseload.lab.toolchain import find_go

TOOLS_DIRECTORY: Final = Path(__file__).parent / "tools"
_PROGRESS_SECONDS = 2.0
_KUBERNETES_VERSION = "v1.37.2"


@dataclass(frozen=True, slots=True)
class Tool:
    """A folder with a go.mod, the commands it builds, and the flags of `go build`."""

    name: str
    commands: tuple[str, ...]
    flags: tuple[str, ...]
    cold_build_seconds: int
    """Time on two cores with empty caches: only to tell a waiting person what to expect."""
    copies: tuple[tuple[str, str], ...] = ()
    """Modules and files of them that are kept beside the binaries, such as a CRD: never copied into this repository."""

    @property
    def source(self) -> Path:
        """The folder that holds go.mod and go.sum."""
        return TOOLS_DIRECTORY / self.name

    def digest(self) -> str:
        """Return the hash that names the folder of binaries: go.mod, go.sum, flags and platform."""
        content = hashlib.sha256()
        for part in (
            (self.source / "go.mod").read_bytes(),
            (self.source / "go.sum").read_bytes(),
            "\0".join(self.flags).encode(),
            f"{platform.system()}/{platform.machine()}".encode(),
            *("\0".join(copy).encode() for copy in self.copies),
        ):
            content.update(hashlib.sha256(part).digest())
        return content.hexdigest()[:16]

    def directory(self) -> Path:
        """Return the cache folder of this tool's binaries."""
        return cache_directory() / "bin" / f"{self.name}-{self.digest()}"

    def built(self) -> bool:
        """Whether every command and every copied file is there."""
        names = (*self.commands, *(Path(path).name for _, path in self.copies))
        return all((self.directory() / name).exists() for name in names)


def _version_flags() -> str:
    # Without them the API server reports v0.0.0 and clients misjudge what it can do.
    major, minor, _ = _KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {"gitVersion": _KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items())


_COMMON_FLAGS = ("-trimpath", "-buildvcs=false")
TOOLS: Final = (
    Tool(
        name="kubernetes",
        # etcd's main package is called "server", and so is its binary.
        commands=("server", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        flags=(*_COMMON_FLAGS, f"-ldflags=-s -w {_version_flags()}"),
        cold_build_seconds=330,
    ),
    Tool(name="kwok", commands=("kwok",), flags=(*_COMMON_FLAGS, "-ldflags=-s -w"), cold_build_seconds=60),
    Tool(
        name="prometheus",
        commands=("prometheus",),
        flags=(*_COMMON_FLAGS, "-tags", "remove_all_sd,enable_kubernetes_sd,enable_http_sd", "-ldflags=-s -w"),
        cold_build_seconds=120,
    ),
)
LWS: Final = Tool(
    name="lws",
    # Its main package is called "cmd", and so is its binary.
    commands=("cmd",),
    flags=(*_COMMON_FLAGS, "-ldflags=-s -w"),
    cold_build_seconds=110,
    copies=(
        ("sigs.k8s.io/lws", "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml"),
        ("sigs.k8s.io/lws", "config/webhook/manifests.yaml"),
    ),
)
PROMETHEUS_ADAPTER: Final = Tool(
    name="prometheus-adapter",
    commands=("adapter",),
    flags=(*_COMMON_FLAGS, "-ldflags=-s -w"),
    cold_build_seconds=100,
)
EXTRAS: Final = {tool.name: tool for tool in (LWS, PROMETHEUS_ADAPTER)}
"""Tools that a lab does not need; built only when somebody asks for them."""


def ensure_tools(progress: Callable[[str], None]) -> Mapping[str, Path]:
    """Return the path of every command, building what is missing; `progress` hears one line at a time.

    Raises BuildError with the compiler's last lines when a build fails.
    """
    for number, tool in enumerate(TOOLS, start=1):
        ensure_tool(tool, progress, f"building {tool.name} (tool {number} of {len(TOOLS)})")
    return {command: tool.directory() / command for tool in TOOLS for command in tool.commands}


def ensure_tool(tool: Tool, progress: Callable[[str], None], title: str = "") -> Path:
    """Return the folder of one tool's binaries, building them if they are missing; raises BuildError."""
    if not tool.built():
        with _locked(cache_directory() / f"{tool.name}.lock", progress):
            if not tool.built():
                _build(tool, title or f"building {tool.name}", progress)
    return tool.directory()


@contextlib.contextmanager
def _locked(path: Path, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold a file lock, so that two labs starting at once build each tool once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the same tool")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(tool: Tool, title: str, progress: Callable[[str], None]) -> None:
    """Build into a temporary folder and rename it, so that a half-built folder never counts as built."""
    go = find_go(progress)
    progress(f"{title}: about {tool.cold_build_seconds // 60 or 1} min with empty caches, seconds otherwise")
    target = tool.directory()
    target.parent.mkdir(parents=True, exist_ok=True)
    # The lock is ours, so what other builds of this tool left is from killed ones.
    for leftover in target.parent.glob(f".{tool.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{tool.name}-", dir=target.parent))
    try:
        _run_go([str(go), "build", "-v", *tool.flags, "-o", f"{staging}/", "tool"], tool, title, progress)
        missing = [command for command in tool.commands if not (staging / command).exists()]
        if missing:
            raise BuildError(f"{title}: go build made no {', '.join(missing)}; check the tool lines of its go.mod")
        _copy_files(go, tool, staging)
        staging.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _copy_files(go: Path, tool: Tool, staging: Path) -> None:
    for module, path in tool.copies:
        listing = [str(go), "list", "-m", "-f", "{{.Dir}}", module]
        answer = subprocess.run(
            listing, cwd=tool.source, env=_environment(), capture_output=True, text=True, check=False
        )
        source = Path(answer.stdout.strip()) / path
        if answer.returncode != 0 or not source.is_file():
            raise BuildError(f"{tool.name}: module {module} has no {path}; {answer.stderr.strip()[-300:]}")
        shutil.copyfile(source, staging / source.name)


def _environment() -> dict[str, str]:
    # GOFLAGS and GOWORK of the user would change what is built; CGO is not needed and would ask for a C compiler.
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def _run_go(command: list[str], tool: Tool, title: str, progress: Callable[[str], None]) -> None:
    """Run go build; every two seconds say how long it has run, and what it downloads or compiles."""
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=tool.source, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    log = _BuildLog(process.stderr)
    try:
        while True:
            try:
                code = process.wait(timeout=_PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                elapsed_seconds = int(time.monotonic() - started)
                minutes, seconds = divmod(elapsed_seconds, 60)
                progress(f"{title}: {minutes}:{seconds:02d} elapsed, {log.summary()}")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    log.join()
    if code != 0:
        raise BuildError(f"{title} failed (go build, exit {code}); its last words:\n{log.tail()}")


class _BuildLog:
    """Reads what `go build -v` says: one line per module fetched and per package compiled."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last: deque[str] = deque(maxlen=15)
        self._packages = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            self._last.append(line.rstrip())
            self._packages += 0 if line.startswith("go: downloading") else 1
        self._stream.close()

    def join(self) -> None:
        """Wait until the stream has ended."""
        self._thread.join(timeout=5)

    def summary(self) -> str:
        """Return what happens now, in a few words."""
        last = self._last[-1] if self._last else ""
        if last.startswith("go: downloading"):
            return last.removeprefix("go: ")
        return f"{self._packages} packages compiled"

    def tail(self) -> str:
        """Return the last lines."""
        return "\n".join(self._last)
