"""Our last intent for a target and what to make of a number that differs from it.

A number that is not our last intent was written by somebody else, unless our own write has not happened yet.
We put it back three times in ten minutes, then say Conflict and leave it: never fight.
"""

from dataclasses import dataclass, replace

from baseload.observe.objects import Workload

REASSERTIONS = 3
REASSERTION_WINDOW_SECONDS = 600.0

Token = tuple[int, tuple[tuple[str, str], ...]]
"""Generation and annotations of a ModelServing: when they change, a person has looked."""


@dataclass(frozen=True, slots=True)
class Intent:
    """The replicas we last meant a target to have.

    `uid` is the target's (empty: read from a status, which does not tell it); `confirmed` whether the target was seen
    to have that number since; `based_on` the resourceVersion our last write replaced, until the watch shows a newer
    one; `reasserted` when we put the number back.
    """

    uid: str
    replicas: int
    confirmed: bool = False
    based_on: str = ""
    reasserted: tuple[float, ...] = ()
    contested: bool = False
    token: Token | None = None


def adopt(workload: Workload, token: Token) -> Intent:
    """Take the number that is there as ours: nobody has decided before."""
    return Intent(workload.uid, workload.wanted, confirmed=True, token=token)


def observe(intent: Intent | None, workload: Workload, token: Token, now: float) -> Intent:
    """What remains of an intent after a look at the target; `contested` when others keep writing."""
    if intent is None or intent.uid not in ("", workload.uid):
        return adopt(workload, token)
    if intent.uid == workload.uid and _as_meant(intent, workload, token):
        return intent
    intent = replace(intent, uid=workload.uid)
    if awaits_echo(intent, workload):
        return intent
    if workload.wanted == intent.replicas:
        return replace(intent, confirmed=True, based_on="", contested=False, token=token)
    if intent.contested:
        return intent if intent.token == token else adopt(workload, token)
    return _differing(intent, token, now)


def _as_meant(intent: Intent, workload: Workload, token: Token) -> bool:
    """Whether a look tells nothing new, as nearly every look does."""
    settled = intent.confirmed and not intent.based_on and not intent.contested
    return settled and workload.wanted == intent.replicas and intent.token == token


def _differing(intent: Intent, token: Token, now: float) -> Intent:
    """The target has another number than ours: our write is still due, or somebody else wrote."""
    if not intent.confirmed:
        return replace(intent, based_on="", token=token)
    recent = tuple(t for t in intent.reasserted if now - t < REASSERTION_WINDOW_SECONDS)
    if len(recent) >= REASSERTIONS:
        return replace(intent, contested=True, reasserted=recent, token=token)
    return replace(intent, confirmed=False, based_on="", reasserted=(*recent, now), token=token)


def was_overwritten(before: Intent | None, after: Intent) -> bool:
    """Whether this look found somebody else's number."""
    if before is None or after.uid != before.uid:
        return False
    put_back = bool(after.reasserted) and after.reasserted[-1:] != before.reasserted[-1:]
    return put_back or (after.contested and not before.contested)


def awaits_echo(intent: Intent, workload: Workload) -> bool:
    """Whether the watch still shows the target as it was before our last write."""
    return bool(intent.based_on) and workload.resource_version == intent.based_on


def intend(intent: Intent, replicas: int) -> Intent:
    """A new number is meant and about to be written."""
    return intent if intent.replicas == replicas else replace(intent, replicas=replicas, confirmed=False)


def written(intent: Intent, resource_version: str) -> Intent:
    """Our number replaced what stood at `resource_version`."""
    return replace(intent, confirmed=False, based_on=resource_version)
