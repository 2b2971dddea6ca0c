"""Sequences of objects made from the schema: only the last one counts, and what is not set is the default."""

import re
from copy import deepcopy
from typing import Any

import cr_strategies
import pytest
from cr_strategies import Spec, broken, good
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.api.models import ModelServingSpec
from baseload.observe.catalog import Catalog
from baseload.observe.objects import serving_object
from baseload.observe.translate import Accepted, accept


def stored(spec: Spec, generation: int) -> dict[str, Any]:
    """A ModelServing of a generation, as the watch shows it."""
    metadata = {"namespace": "team", "name": "chat", "uid": "u", "generation": generation}
    return {"metadata": {**metadata, "resourceVersion": str(generation)}, "spec": spec}


def entry_after(*specs: Spec) -> tuple[object, ...]:
    """What the catalog knows of a serving whose spec was changed so."""
    catalog = Catalog(lambda _: None)
    for step, spec in enumerate(specs):
        catalog.put_serving(serving_object(stored(spec, 1 + step)))
    (entry,) = catalog.entries.values()
    claimed = None if entry.target is None else catalog.claimants(entry.target)
    return entry.accepted, entry.pause, entry.target, claimed


@settings(max_examples=60, deadline=None)
@given(st.lists(good, min_size=1, max_size=3), good)
def test_only_the_last_spec_counts(earlier: list[Spec], last: Spec) -> None:
    """Any specs and then B are B: nothing of an earlier one is left in what is understood."""
    assert entry_after(*earlier, last) == entry_after(last)


@settings(max_examples=60, deadline=None)
@given(good, broken())
def test_a_broken_spec_leaves_no_trace(spec: Spec, wrong: Spec) -> None:
    """A, broken, A is A; the broken one, from before its CRD had the rule, is refused and not half understood."""
    assert entry_after(spec, wrong, spec) == entry_after(spec)
    assert not isinstance(entry_after(spec, wrong)[0], Accepted)


def optional_paths(node: Spec, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of each field that has a default or may be left out, lists not entered."""
    found = []
    for name, child in node.get("properties", {}).items():
        if name not in node.get("required", []):
            found.append((*path, name))
        found += optional_paths(child, (*path, name))
    return found


@settings(max_examples=100, deadline=None)
@given(good, st.data())
def test_what_is_not_set_is_the_default(spec: Spec, data: st.DataObject) -> None:
    """A field that is removed again leaves what it would have been, had it never been set."""
    paths = [p for p in optional_paths(cr_strategies.schema()) if _has(spec, p)]
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    without = deepcopy(spec)
    parent = without
    for name in path[:-1]:
        parent = parent[name]
    del parent[path[-1]]
    if cr_strategies.refusal(without) is not None:
        return
    assert entry_after(spec, without) == entry_after(without)
    model: Any = ModelServingSpec.model_validate(without)
    dumped = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    default = _default(cr_strategies.schema(), path)
    assert default is None or _at(dumped, path) == default


def _has(spec: Spec, path: tuple[str, ...]) -> bool:
    node: Any = spec
    for name in path:
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True


def _at(node: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        node = None if node is None else node.get(name)
    return node


def _default(node: Spec, path: tuple[str, ...]) -> Any:
    for name in path:
        node = node["properties"][name]
    return node.get("default")


@pytest.mark.parametrize("word", ["path", "file", "secret", "url", "kubeconfig", "token"])
def test_no_field_names_a_file_or_a_secret(word: str) -> None:
    """A tenant's object can make the operator open neither a file nor a Secret nor an address: no field is for that."""

    def names(node: Spec) -> list[str]:
        found = []
        for name, child in node.get("properties", {}).items():
            found += [name, *names(child), *names(child.get("items", {}))]
        return found

    latencies = ("timeToFirstToken", "interTokenLatency")
    fields = [name for name in names(cr_strategies.schema()) if name not in latencies]
    assert [name for name in fields if word in re.sub("([A-Z])", r" \1", name).lower().split()] == []


def test_each_example_of_a_spec_is_read() -> None:
    """What the strategy makes is what the server would accept, so it is understood."""

    @settings(max_examples=40, deadline=None)
    @given(good)
    def read(spec: Spec) -> None:
        assert isinstance(accept(serving_object(stored(spec, 1))), Accepted)

    read()
