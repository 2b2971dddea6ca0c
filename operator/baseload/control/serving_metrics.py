"""The replicas of every serving as metrics: 20,000 lines for a large fleet, written in portions.

Prometheus' client keeps an object with a lock for each series and writes them all at once, which stops the event loop
for a quarter of a second at 5,000 servings.
"""

import asyncio
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from baseload.plan.snapshot import ServingKey

NUMBERS: Mapping[str, str] = {
    "current": "Replicas the target is set to.",
    "raw": "Replicas that demand asks for.",
    "final": "Replicas that the limiters allow.",
    "ready": "Replicas that are ready.",
}
PORTION = 1000

Replicas = tuple[int, int, int, int]
"""In the order of NUMBERS."""


class ServingMetrics(Collector):
    """The newest replicas of each serving."""

    def __init__(self) -> None:
        self._replicas: dict[ServingKey, Replicas] = {}

    def show(self, key: ServingKey, replicas: Replicas) -> None:
        """Show the replicas of a serving from now on."""
        self._replicas[key] = replicas

    def forget(self, key: ServingKey) -> None:
        """Drop the series of a serving that is gone, if it ever had any."""
        self._replicas.pop(key, None)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All series at once, for a registry."""
        for index, (number, meaning) in enumerate(NUMBERS.items()):
            family = GaugeMetricFamily(_name(number), meaning, labels=("namespace", "name"))
            for key, replicas in self._replicas.items():
                family.add_metric((key.namespace, key.name), replicas[index])
            yield family

    async def text(self) -> bytes:
        """All series in Prometheus' text format, giving way to other tasks every so many lines."""
        parts: list[str] = []
        for index, (number, meaning) in enumerate(NUMBERS.items()):
            name = _name(number)
            parts.append(f"# HELP {name} {meaning}\n# TYPE {name} gauge\n")
            rows = list(self._replicas.items())
            for start in range(0, len(rows), PORTION):
                # Names of Kubernetes' objects need no escaping.
                parts += [
                    f'{name}{{name="{key.name}",namespace="{key.namespace}"}} {replicas[index]}.0\n'
                    for key, replicas in rows[start : start + PORTION]
                ]
                await asyncio.sleep(0)
        return "".join(parts).encode()


def _name(number: str) -> str:
    return f"baseload_serving_replicas_{number}"
