"""Choosing and joining servings in nested states: every array's first axis is the serving."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

State = TypeVar("State")


def pick(state: State, rows: NDArray[np.int64]) -> State:
    """Return the same state with only `rows` of every array in it."""
    return cast("State", _mapped(lambda parts: parts[0][rows], state))


def join(first: State, second: State) -> State:
    """Return one state with the servings of both; both have the same shape but for the number of servings."""
    return cast("State", _mapped(np.concatenate, first, second))


def _mapped(change: Callable[[tuple[Any, ...]], Any], *states: object) -> object:
    """Apply a change to each array, through tuples and dataclasses; what is no array is taken from the first."""
    first: Any = states[0]
    if isinstance(first, np.ndarray):
        return change(states)
    if isinstance(first, tuple):
        return tuple(_mapped(change, *parts) for parts in zip(*states, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        values = {name: _mapped(change, *(getattr(state, name) for state in states)) for name in names}
        return type(first)(**values)
    return first
