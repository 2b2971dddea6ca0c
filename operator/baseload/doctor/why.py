"""Why the number is what it is now, in words, from nothing but the ModelServing itself."""

from collections.abc import Iterator

from pydantic import ValidationError

from baseload.api.conditions import CONDITIONS
from baseload.api.reasons import Reason
from baseload.api.sentences import Subject, sentence
from baseload.api.status import AppliedLimit, LastDecision, ModelServingStatus, ObservedSignal
from baseload.doctor.story import Line, Raw, Section, Story, subject_of
from baseload.doctor.times import age, unix
from baseload.errors import BaseloadError

GOOD = {condition.name: condition.good for condition in CONDITIONS}
HOW_TO_HISTORY = "a serving without a day of history has no forecast: docs/how-to/history.md"
IS_THE_OPERATOR_THERE = "run `baseload doctor`; it says whether the operator runs"


def explain(serving: Raw, now: float) -> Story:
    """The story of a raw ModelServing at the Unix time `now`; raises BaseloadError for a status nobody can read."""
    subject, status = subject_of(serving), read_status(serving)
    sections = (
        Section("Not up to date", tuple(_behind(serving, status))),
        Section(*_decision(status.last_decision, subject, now)),
        Section("Mode", tuple(_mode(serving, subject))),
        Section("Forecast", tuple(_forecast(status.last_decision))),
        Section("Signals", tuple(_signals(status.last_decision, subject))),
        Section("Shortage", tuple(_shortage(serving))),
        Section("Pools", tuple(_pools(status.last_decision))),
        Section("Not as it should be", tuple(_conditions(status, subject, now))),
        Section("Last changes, newest first", tuple(changes(status, subject))),
    )
    return Story(_headline(serving, status), tuple(s for s in sections if s.lines))


def read_status(serving: Raw) -> ModelServingStatus:
    """The status as a model; raises BaseloadError when another version wrote what this one cannot read."""
    try:
        return ModelServingStatus.model_validate(serving.get("status") or {})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = serving["metadata"]["name"]
        raise BaseloadError(
            f"status of ModelServing '{name}': `{field}` cannot be read ({first['msg']});"
            " use the command of the operator's own version"
        ) from error


def changes(status: ModelServingStatus, subject: Subject) -> Iterator[Line]:
    """The rows of the history."""
    for row in status.history:
        yield Line(f"{row.time}  {row.from_} -> {row.to}  {row.reason}: {sentence(row.reason, subject).says}")


def _headline(serving: Raw, status: ModelServingStatus) -> str:
    name = f"{serving['metadata']['namespace']}/{serving['metadata']['name']}"
    ready = next((c for c in status.conditions if c.type == "Ready"), None)
    home = next(iter(status.variants), None)
    numbers = "" if home is None else f": {home.desired} replicas wanted, {home.ready} ready"
    if ready is None:
        return f"{name}{numbers or ': nothing was decided yet'}"
    return f"{name}{numbers}; Ready is {ready.status.value}, {ready.reason}"


def _behind(serving: Raw, status: ModelServingStatus) -> Iterator[Line]:
    generation = serving["metadata"].get("generation", 0)
    if not status.conditions:
        yield Line("The operator has not written a status yet.", IS_THE_OPERATOR_THERE)
    elif (status.observed_generation or 0) < generation:
        text = f"The spec is at generation {generation}, the status speaks of {status.observed_generation or 0}."
        yield Line(text, IS_THE_OPERATOR_THERE)


def _decision(decision: LastDecision | None, subject: Subject, now: float) -> tuple[str, tuple[Line, ...]]:
    """Title and lines: the number that demand asked for, then each limit in the order it was applied."""
    if decision is None:
        return "Decision", ()
    numbers = decision.replicas
    moved = "it stays at" if numbers.final == numbers.current else f"{numbers.current} ->"
    title = f"Decided {age(now - unix(decision.time))} ago, at {decision.time}: {moved} {numbers.final} replicas"
    words = sentence(decision.reason, subject)
    first = Line(f"{numbers.raw} wanted, {decision.reason}: {words.says} {decision.message}", words.advice)
    return title, (first, *(_limit(limit, subject) for limit in decision.limited_by))


def _limit(limit: AppliedLimit, subject: Subject) -> Line:
    words = sentence(limit.reason, subject)
    step = f"kept at {limit.after}" if limit.before == limit.after else f"{limit.before} -> {limit.after}"
    return Line(f"{step}, {limit.reason}: {words.says} {limit.message}", words.advice)


def _mode(serving: Raw, subject: Subject) -> Iterator[Line]:
    if (serving.get("spec") or {}).get("mode") == "Recommend":
        words = sentence(Reason.RECOMMEND_ONLY, subject)
        yield Line(words.says, words.advice)


def _forecast(decision: LastDecision | None) -> Iterator[Line]:
    """What was foreseen, or that nothing was."""
    if decision is None:
        return
    given = decision.forecast
    if given is None:
        yield Line("None was followed: the number comes from the rate now and its trend.", HOW_TO_HISTORY)
        return
    covers = "by a rule over what was lately asked for"
    if given.quantile is not None:
        covers = f"which covers {float(given.quantile):.0%} of what may come"
    yield Line(f"{given.order} tokens/s in {given.horizon_seconds} s to order for, {covers}, says {given.answered_by}")
    if given.low is not None:
        yield Line(f"{given.median} tokens/s expected; 95 of 100 times between {given.low} and {given.high}")


def _signals(decision: LastDecision | None, subject: Subject) -> Iterator[Line]:
    """The signals; what is missing for one reason is explained once."""
    told: set[str] = set()
    for signal in decision.observed if decision is not None else ():
        if signal.missing is not None and signal.missing in told:
            yield Line(f"{signal.signal} is missing, {signal.missing}")
            continue
        told.add(signal.missing or "")
        yield _signal(signal, subject)


def _signal(signal: ObservedSignal, subject: Subject) -> Line:
    if signal.missing is not None:
        words = sentence(signal.missing, subject)
        return Line(f"{signal.signal} is missing, {signal.missing}: {words.says}", words.advice)
    target = "" if signal.target is None else f" of {signal.target}"
    time = "" if signal.time is None else f", measured at {signal.time}"
    return Line(f"{signal.signal} {signal.value or 'none'}{target} {signal.unit}{time}")


def _shortage(serving: Raw) -> Iterator[Line]:
    """What is missing while accelerators are short."""
    shortage = (serving.get("status") or {}).get("shortage")
    if shortage:
        rate = shortage.get("requestsPerSecond")
        unserved = "" if rate is None else f"; {rate} requests/s cannot be served inside the objective"
        yield Line(f"{shortage.get('replicas', 0)} wanted replicas have no accelerator{unserved}")


def _pools(decision: LastDecision | None) -> Iterator[Line]:
    for pool in decision.considered if decision is not None else ():
        yield Line(f"{pool.pool}, {pool.outcome.value}: {pool.message}")


def _conditions(status: ModelServingStatus, subject: Subject, now: float) -> Iterator[Line]:
    """Conditions that are not as in good times; Ready repeats another one's reason and is left out then."""
    told: set[str] = set()
    bad = [c for c in status.conditions if c.status.value != GOOD.get(c.type, c.status.value)]
    for condition in sorted(bad, key=lambda c: c.type == "Ready"):
        if condition.reason == Reason.NOT_OBSERVED or (condition.type in ("Ready", "Stalled") and told):
            continue
        told.add(condition.type)
        words = sentence(condition.reason, subject)
        since = f"since {condition.last_transition_time}, {age(now - unix(condition.last_transition_time))} ago"
        text = f"{condition.type} is {condition.status.value} {since}, {condition.reason}: {words.says}"
        yield Line(f"{text} {condition.message}", words.advice)
