"""The lab's API server with other flags for a while."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from operator_lab import restart_api_server

from baseload.lab import state
from baseload.lab.cluster import Lab


@contextmanager
def api_server_flags(lab: Lab, *flags: str) -> Iterator[None]:
    """Restart the API server with more flags, and afterwards without them."""
    before = _set(lab, flags)
    try:
        yield
    finally:
        _set(lab, before)


def _set(lab: Lab, flags: tuple[str, ...]) -> tuple[str, ...]:
    with state.locked(lab.directory):
        current = state.load(lab.directory)
        assert current is not None
        before = current.options.api_server_args
        options = dataclasses.replace(current.options, api_server_args=flags)
        state.save(lab.directory, dataclasses.replace(current, options=options))
    restart_api_server(lab)
    return before
