"""From a profile's templates to PromQL: windows that fit the scrape interval, ways to group, and escaped values."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from string import Template
from typing import Self

LEAST_RATE_SECONDS = 10.0
LEAST_ATTAINMENT_SECONDS = 30.0
RATE_SCRAPES = 4.0
"""A rate over four scrapes survives one that failed and is still quick: 10 s at 2 s, 60 s at 15 s."""

LEARNING_SCRAPES = 2.5
"""A rate needs two samples in its window, whatever the phase of the scrapes."""

SPARE_SAMPLES_SHARE = 0.2
"""Share of the samples of a full rate window that may lack before a rate is not believed, at least one."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The look-back of each kind of query, in seconds, and how many samples a rate needs to be believed.

    PromQL divides an increase by the whole window, so in the first scrapes after a gap a rate is far too low.
    """

    rate_seconds: float
    attainment_seconds: float
    learning_seconds: float
    least_samples: int = 2

    @classmethod
    def for_scrapes(cls, scrape_seconds: float, learning_seconds: float) -> Self:
        """Windows that hold enough samples when a sample comes each `scrape_seconds`."""
        rate_seconds = max(RATE_SCRAPES * scrape_seconds, LEAST_RATE_SECONDS)
        full = int(rate_seconds / scrape_seconds)
        return cls(
            rate_seconds=rate_seconds,
            attainment_seconds=max(RATE_SCRAPES * scrape_seconds, LEAST_ATTAINMENT_SECONDS),
            learning_seconds=max(LEARNING_SCRAPES * scrape_seconds, learning_seconds),
            least_samples=max(full - max(int(SPARE_SAMPLES_SHARE * full), 1), 2),
        )

    def over(self, seconds: float) -> "Windows":
        """The same windows with rates over a longer time, as for a bucket of the past."""
        return replace(self, rate_seconds=max(seconds, self.rate_seconds))

    def placeholders(self) -> Mapping[str, str]:
        """The values of the templates' placeholders of time."""
        return {
            "rate_window": duration(self.rate_seconds),
            "rate_window_seconds": f"{self.rate_seconds:g}",
            "history_window": duration(2 * self.rate_seconds),
            "attainment_window": duration(self.attainment_seconds),
            "learning_window": duration(self.learning_seconds),
        }


@dataclass(frozen=True, slots=True)
class Grouping:
    """How rows are told apart: which series, and the labels of a row of a workload and of a replica."""

    labelled: str
    workload: str
    replica: str
    confined: str = ""

    def within(self, namespaces: Iterable[str]) -> "Grouping":
        """The same, with a namespace matcher in every selector; no namespaces mean all of them."""
        names = any_of(namespaces)
        if not names:
            return self
        matcher = f', namespace=~"{names}"'
        return replace(self, labelled=self.labelled + matcher, confined=self.confined + matcher)


BY_LABEL = Grouping('baseload_workload!=""', "namespace, baseload_workload", "namespace, baseload_workload, pod")
"""Series that say themselves whose they are."""

BY_POD = Grouping('baseload_workload=""', "namespace, pod", "namespace, pod")
"""Series that do not; their pods are assigned to workloads afterwards."""


def render(template: str, windows: Windows, boundaries: Iterable[str] = (), grouping: Grouping = BY_LABEL) -> str:
    """PromQL of a template on one line; `boundaries` are the `le` values to select, exactly as the labels say."""
    values = {**windows.placeholders(), **asdict(grouping), "le": any_of(boundaries)}
    text = Template(template).substitute(values)
    return " ".join(text.split())


def duration(seconds: float) -> str:
    """A PromQL duration, to the millisecond."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def any_of(values: Iterable[str]) -> str:
    r"""The inside of a PromQL string that is a regular expression for exactly these values, whatever they contain."""
    pattern = "|".join(_regex_literal(value) for value in sorted(set(values)))
    return pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _regex_literal(value: str) -> str:
    """Quote for RE2, which unlike Python's `re` refuses a backslash before a character that needs none."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)
