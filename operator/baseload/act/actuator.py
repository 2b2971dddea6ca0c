"""Carrying out decisions: the intent into the status, then the number into the target's scale."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from baseload.act.publisher import StatusOrder, StatusPublisher
from baseload.act.writer import KubeWriter
from baseload.errors import ApiError, ConflictError
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class ScaleOrder:
    """A number for a target: `expected` is what it was decided from, at `resource_version`.

    `collection` is the API path of the target's kind, such as `/apis/apps/v1/deployments`.
    `status` carries the intent and goes first; None when the intent stands in the API already.
    """

    key: ServingKey
    collection: str
    name: str
    replicas: int
    expected: int
    resource_version: str
    status: StatusOrder | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an order ended: `based_on` is the target's version that was replaced, or `error` says why not."""

    intent_published: bool
    based_on: str = ""
    error: ApiError | None = None


class Actuator:
    """Carries out scale orders, many at once, each in its own order of writes."""

    def __init__(self, writer: KubeWriter, publisher: StatusPublisher) -> None:
        self._writer = writer
        self._publisher = publisher
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def apply(self, orders: Sequence[ScaleOrder]) -> dict[ServingKey, Outcome]:
        """Carry out all orders; a failed one never stops another."""
        outcomes = await asyncio.gather(*(self._carry_out(order) for order in orders))
        return {order.key: outcome for order, outcome in zip(orders, outcomes, strict=True)}

    async def _carry_out(self, order: ScaleOrder) -> Outcome:
        async with self._slots:
            try:
                if order.status is not None:
                    await self._publisher.now(order.status)
            except ApiError as error:
                return Outcome(intent_published=False, error=error)
            try:
                return Outcome(intent_published=True, based_on=await self._scale(order))
            except ApiError as error:
                return Outcome(intent_published=True, error=error)

    async def _scale(self, order: ScaleOrder) -> str:
        """Write the number; a stale version is fine as long as the number it was decided from still stands."""
        namespace, version = order.key.namespace, order.resource_version
        try:
            await self._writer.scale(order.collection, namespace, order.name, order.replicas, version)
        except ConflictError:
            fresh, replicas = await self._writer.workload(order.collection, namespace, order.name)
            if replicas == order.replicas:
                return version
            if replicas != order.expected:
                raise
            await self._writer.scale(order.collection, namespace, order.name, order.replicas, fresh)
        return version
