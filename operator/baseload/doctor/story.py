"""A story in sections of lines: what `why` tells, before it becomes text or JSON."""

from dataclasses import dataclass
from typing import Any

from baseload.api.sentences import Subject

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A line; `advice` is what a person can do about it, empty when nothing has to be done."""

    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a title."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of one serving; `known` is False when the past that was asked for is not known any more."""

    headline: str
    sections: tuple[Section, ...]
    known: bool = True

    def as_json(self) -> Raw:
        """The same as plain data."""
        return {
            "headline": self.headline,
            "known": self.known,
            "sections": [{"title": s.title, "lines": [_line(line) for line in s.lines]} for s in self.sections],
        }


def subject_of(serving: Raw) -> Subject:
    """The names that sentences use, from a raw ModelServing."""
    target = (serving.get("spec") or {}).get("targetRef") or {}
    metadata = serving["metadata"]
    return Subject(metadata["name"], metadata["namespace"], target.get("kind", "workload"), target.get("name", ""))


def _line(line: Line) -> Raw:
    return {"text": line.text, "advice": line.advice} if line.advice else {"text": line.text}
