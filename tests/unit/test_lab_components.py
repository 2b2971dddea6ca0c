"""What the lab's processes are started with."""

from collections import defaultdict
from pathlib import Path

from baseload.lab import network
from baseload.lab.build import TOOLS
from baseload.lab.components import FIRST, Layout, component_names, components
from baseload.lab.nodes import node

LAYOUT = Layout(Path("/labs/x"), network.NAMESPACE, 2, ("--feature-gates=Some=true",), 15.0)
COMMANDS = {command: Path("/bin") / command for tool in TOOLS for command in tool.commands}


def test_names_are_those_of_the_components() -> None:
    """The list of names, which needs no binaries, is the list of what is started."""
    assert tuple(item.name for item in components(LAYOUT, COMMANDS)) == component_names()
    assert set(FIRST) < set(component_names())


def test_extra_flags_win() -> None:
    """Flags asked for come last on the API server's command line, where they override ours."""
    server = next(item for item in components(LAYOUT, COMMANDS) if item.name == "kube-apiserver")
    assert server.arguments[-1] == "--feature-gates=Some=true"


def test_nothing_listens_beyond_the_loopback_interface() -> None:
    """Every listening address of every component is 127.0.0.1, also in loopback mode on a shared machine."""
    listening = ("--bind-address", "--listen-", "--web.listen-address", "--server-address")
    addresses: dict[str, list[str]] = defaultdict(list)
    for item in components(LAYOUT, COMMANDS):
        for argument in item.arguments:
            if argument.startswith(listening):
                addresses[item.name].append(argument.split("=", 1)[1])
    assert set(addresses) == set(component_names()) - {"agent"}
    assert all("127.0.0.1" in address for found in addresses.values() for address in found)


def test_nodes_offer_what_was_asked_for() -> None:
    """A node has its labels and accelerators, and none of the resource when it has no accelerator."""
    manifest = node("gpu-1", {"pool": "a"}, 4)
    assert manifest["metadata"]["labels"]["pool"] == "a"
    assert manifest["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert "nvidia.com/gpu" not in node("cpu-1", accelerators=0)["status"]["allocatable"]
