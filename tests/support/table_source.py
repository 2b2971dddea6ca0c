"""A MetricsSource that answers from a table by the names of a profile's queries, and a workload that is well."""

import asyncio
from collections.abc import Mapping

from baseload.errors import MetricsError
from baseload.observe.identity import owners_query
from baseload.observe.metrics_source import Series
from baseload.observe.profiles import load_profiles
from baseload.observe.queries import BY_LABEL, BY_POD, Windows, render
from baseload.observe.signals import SignalReader

NOW = 1_000.0
NAMESPACE = "team-a"
PROFILES = load_profiles()
SCRAPE_SECONDS = 2.0


class TableSource:
    """Answers by which template a query was rendered from; `pod:NAME` is the same query for pods without a label.

    An answer is rows, an exception to raise, or "hang". `asked` are the names in order, `times` their instants.
    """

    def __init__(self, answers: Mapping[str, object], profile: str = "vllm") -> None:
        self.clock_offset_seconds = 0.0
        self.asked: list[str] = []
        self.queries: list[str] = []
        self.times: set[float] = set()
        self._answers = answers
        windows = Windows.for_scrapes(SCRAPE_SECONDS, 15.0)
        self._starts = {owners_query([NAMESPACE]): "owners"}
        for name, template in PROFILES[profile].templates().items():
            for prefix, grouping in (("", BY_LABEL), ("pod:", BY_POD.within([NAMESPACE]))):
                start = render(template, windows, (), grouping).split('le=~"')[0]
                self._starts.setdefault(start, prefix + name)

    async def query(self, promql: str, time: float) -> tuple[Series, ...]:
        """The table's answer to a query, or the table's error."""
        # One query may begin with another.
        name = self._starts[max((start for start in self._starts if promql.startswith(start)), key=len)]
        self.asked.append(name)
        self.queries.append(promql)
        self.times.add(time)
        answer = self._answers.get(name, ())
        if isinstance(answer, Exception):
            raise answer
        if answer == "hang":
            await asyncio.sleep(3600)
        return answer  # type: ignore[return-value]


def reader_of(answers: Mapping[str, object], profile: str = "vllm") -> tuple[SignalReader, TableSource]:
    """A reader at the lab's scrape interval over a table."""
    source = TableSource(answers, profile)
    return SignalReader(source, PROFILES, scrape_seconds=SCRAPE_SECONDS), source


def rows(value: float, **labels: str) -> tuple[Series, ...]:
    """One row for the workload under test."""
    return (Series({"namespace": NAMESPACE, "baseload_workload": "Deployment/chat-8b", **labels}, value, NOW),)


def histogram(low: float, high: float, total: float) -> tuple[Series, ...]:
    """Rates of the buckets 0.25, 0.5 and infinity."""
    return rows(low, le="0.25") + rows(high, le="0.5") + rows(total, le="+Inf")


def healthy() -> dict[str, tuple[Series, ...] | MetricsError]:
    """Answers of a workload with traffic, by the field names of the profile."""
    grid = tuple(Series({"le": le}, 3.0, NOW) for le in ("0.25", "0.5", "+Inf"))
    return {
        "freshness": rows(NOW - 1.5),
        "samples": rows(5.0),
        "running": rows(6.0),
        "waiting": rows(2.0),
        "completions": rows(3.0),
        "in_flight_growth": rows(1.5),
        "output_tokens": rows(300.0),
        "output_tokens_per_request": rows(100.0),
        "time_to_first_token_boundaries": grid,
        "time_to_first_token_buckets": histogram(1.0, 3.0, 4.0),
        "inter_token_boundaries": grid,
        "inter_token_buckets": histogram(3.0, 4.0, 4.0),
        "replica_running": rows(4.0, pod="chat-8b-b") + rows(2.0, pod="chat-8b-a"),
        "replica_inter_token_seconds": rows(0.03, pod="chat-8b-a") + rows(float("nan"), pod="chat-8b-b"),
        "replica_time_to_first_token_seconds": rows(0.3, pod="chat-8b-a"),
        "replica_cache_usage": rows(0.5, pod="chat-8b-a") + rows(0.5, pod="chat-8b-gone"),
    }
