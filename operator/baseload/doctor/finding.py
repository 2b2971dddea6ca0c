"""What a check answers: a level, what was found, and the command that mends it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is, the worst first; skipped means that it could not be looked at, which is never ok."""

    FAULT = "fault"
    WARNING = "warning"
    SKIPPED = "skipped"
    OK = "ok"


ORDER = {level: number for number, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what it is about (empty: the installation), `found` a sentence with the value in it.

    `remedy` is a command to paste, or a sentence where no command can mend it; empty when nothing is to be done.
    """

    level: Level
    found: str
    subject: str = ""
    remedy: str = ""

    def as_json(self, check: str) -> dict[str, Any]:
        """The finding as plain data, under the name of its check."""
        return {
            "check": check,
            "level": self.level.value,
            "subject": self.subject,
            "found": self.found,
            "remedy": self.remedy,
        }


def fault(subject: str, found: str, remedy: str) -> Finding:
    """Something that keeps Baseload from doing its work, or does harm."""
    return Finding(Level.FAULT, found, subject, remedy)


def warning(subject: str, found: str, remedy: str) -> Finding:
    """Something that may be meant so, but mostly is not."""
    return Finding(Level.WARNING, found, subject, remedy)


def skipped(why: str) -> Finding:
    """A check that could not be made."""
    return Finding(Level.SKIPPED, why)
