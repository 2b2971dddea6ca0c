"""Our last intent for a target and what to make of a number that differs from it.

A number that is not our last intent was written by somebody else, unless our own write has not happened yet.
We put it back three times in ten minutes, then say Conflict and leave it: never fight. It ends when the number
we mean comes back, when a person changes the ModelServing, and after an hour on probation: one more number of somebody
else's within ten minutes, and it is a conflict again.
"""

from dataclasses import dataclass, replace

from baseload.observe.objects import Workload

REASSERTIONS = 3
REASSERTION_WINDOW_SECONDS = 600.0
CONTEST_SECONDS = 3600.0
"""How long a conflict lasts before one more attempt: whoever writes again and again is asked once an hour."""

Token = tuple[int, tuple[tuple[str, str], ...]]
"""Generation and annotations of a ModelServing: when they change, a person has looked."""


@dataclass(frozen=True, slots=True)
class Intent:
    """The replicas we last meant a target to have.

    `uid` is the target's (empty: read from a status, which does not tell it); `confirmed` whether the target was seen
    to have that number since; `wrote` the resourceVersion that our last write made, empty before it; `reasserted` when
    we put the number back; `contested_time` since when others keep writing, in Unix seconds.
    """

    uid: str
    replicas: int
    confirmed: bool = False
    wrote: str = ""
    reasserted: tuple[float, ...] = ()
    contested: bool = False
    contested_time: float = 0.0
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
        return replace(intent, confirmed=True, wrote="", contested=False, token=token)
    if intent.contested:
        return _contested(intent, workload, token, now)
    return _differing(intent, token, now)


def _as_meant(intent: Intent, workload: Workload, token: Token) -> bool:
    """Whether a look tells nothing new, as nearly every look does."""
    settled = intent.confirmed and not intent.wrote and not intent.contested
    return settled and workload.wanted == intent.replicas and intent.token == token


def _contested(intent: Intent, workload: Workload, token: Token, now: float) -> Intent:
    """A person who looked, or an hour, ends it; after an hour the next foreign number is not put back any more."""
    if intent.token != token:
        return adopt(workload, token)
    if now - intent.contested_time < CONTEST_SECONDS:
        return intent
    return replace(adopt(workload, token), reasserted=(now,) * REASSERTIONS)


def _differing(intent: Intent, token: Token, now: float) -> Intent:
    """The target has another number than ours: our write is still due, or somebody else wrote."""
    if not intent.confirmed and not intent.wrote:
        return replace(intent, token=token)
    recent = tuple(t for t in intent.reasserted if now - t < REASSERTION_WINDOW_SECONDS)
    if len(recent) >= REASSERTIONS:
        return replace(intent, contested=True, contested_time=now, reasserted=recent, wrote="", token=token)
    return replace(intent, confirmed=False, wrote="", reasserted=(*recent, now), token=token)


def was_overwritten(before: Intent | None, after: Intent) -> bool:
    """Whether this look found somebody else's number."""
    if before is None or after.uid != before.uid:
        return False
    put_back = bool(after.reasserted) and after.reasserted[-1:] != before.reasserted[-1:]
    return put_back or (after.contested and not before.contested)


def awaits_echo(intent: Intent, workload: Workload) -> bool:
    """Whether the watch still shows the target as it was before our last write."""
    return bool(intent.wrote) and not _reached(workload.resource_version, intent.wrote)


def intend(intent: Intent, replicas: int) -> Intent:
    """A new number is meant and about to be written."""
    return intent if intent.replicas == replicas else replace(intent, replicas=replicas, confirmed=False, wrote="")


def written(intent: Intent, resource_version: str) -> Intent:
    """Our number stands since `resource_version`: another one in that version or a later one is somebody else's."""
    return replace(intent, confirmed=False, wrote=resource_version)


def _reached(version: str, wanted: str) -> bool:
    """Whether a version is not older than another one of the same object; both are etcd's whole numbers."""
    if version.isdecimal() and wanted.isdecimal():
        return int(version) >= int(wanted)
    return version == wanted
