"""The pause annotations of a ModelServing; whatever cannot be read means paused."""

from collections.abc import Mapping

from baseload.plan.snapshot import Pause

PREFIX = "baseload.dev/"
PAUSED = PREFIX + "paused"
PAUSED_SCALE_IN = PREFIX + "paused-scale-in"
PAUSED_SCALE_OUT = PREFIX + "paused-scale-out"
PAUSED_REPLICAS = PREFIX + "paused-replicas"

YES = frozenset({"true", "yes", "1", ""})
NO = frozenset({"false", "no", "0"})


def pause_of(annotations: Mapping[str, str]) -> Pause:
    """Read the four annotations; `why` names each that is in force and says when its value was not understood."""
    why: list[str] = []
    both = _is_set(annotations, PAUSED, why)
    scale_in = _is_set(annotations, PAUSED_SCALE_IN, why)
    scale_out = _is_set(annotations, PAUSED_SCALE_OUT, why)
    replicas = None
    given = annotations.get(PAUSED_REPLICAS)
    if given is not None:
        if given.strip().isdecimal() and int(given) >= 1:
            replicas = int(given)
            why.append(f"annotation {PAUSED_REPLICAS} pins {replicas} replicas")
        else:
            both = True
            why.append(f"annotation {PAUSED_REPLICAS} has value '{given}', which is no whole number of at least 1")
    return Pause(scale_in=both or scale_in, scale_out=both or scale_out, replicas=replicas, why="; ".join(why))


def _is_set(annotations: Mapping[str, str], name: str, why: list[str]) -> bool:
    given = annotations.get(name)
    if given is None or given.strip().lower() in NO:
        return False
    if given.strip().lower() in YES:
        why.append(f"annotation {name} is set")
    else:
        why.append(f"annotation {name} has value '{given}', which is neither true nor false and so means paused")
    return True
