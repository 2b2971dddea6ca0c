"""Reading the past of servings that are new to this process: all of them at the start, later those that came."""

import asyncio
import logging
from collections.abc import Callable, Collection
from math import floor

from baseload.control.servings import Servings
from baseload.errors import MetricsError
from baseload.observe.demand_book import DemandBook
from baseload.observe.history import HistoryReader, Past, Slice
from baseload.plan.forecast.demand_block import Grid
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""How often it looks for new servings: those that come together are read together."""

RETRY_SECONDS = 120.0

WEEKLY_DAYS = 14
"""History that a weekly pattern needs."""


class PastKeeper:
    """Keeps the book of demand filled with the past, from the file first, then from Prometheus.

    `was_read` is told of the servings whose past was read, as far as it could be.
    """

    def __init__(
        self,
        servings: Servings,
        reader: HistoryReader,
        grid: Grid,
        given: Past | None,
        *,
        was_read: Callable[[Collection[ServingKey]], None],
    ) -> None:
        self.book = DemandBook(grid)
        self._servings = servings
        self._reader = reader
        self._given = given
        self._was_read = was_read
        self._read: set[ServingKey] = set()
        self._tried: set[ServingKey] = set()

    async def run(self) -> None:
        """Read until cancelled; what could not be read is tried again later."""
        look_seconds = min(LOOK_SECONDS, self.book.grid.bucket_seconds)
        while True:
            new = [key for key in self._servings.records if key not in self._read]
            if not new or not self.book.end:
                await asyncio.sleep(look_seconds)
                continue
            if self._given is not None and self.book.fill(self._given):
                # What a file says is enough to begin with, however long Prometheus takes.
                self._told(new)
            try:
                is_whole = await self._read_past(new)
            except Exception:
                # A bug here must not end the process: scaling goes on without a past.
                logger.exception("history could not be read")
                self._told(new)
                is_whole = False
            if not is_whole:
                logger.warning("history is read again later", extra={"after_seconds": RETRY_SECONDS})
                await asyncio.sleep(RETRY_SECONDS)

    def is_read(self, key: ServingKey) -> bool:
        """Whether a serving's past is in the book, as far as it could be read."""
        return key in self._tried

    def forget(self, key: ServingKey) -> None:
        """Drop a serving that is gone."""
        self.book.forget(key)
        self._read.discard(key)
        self._tried.discard(key)

    def _told(self, keys: Collection[ServingKey]) -> None:
        self._tried |= set(keys)
        self._was_read(keys)

    async def _read_past(self, keys: Collection[ServingKey]) -> bool:
        """Fill the book from Prometheus; whether all was read."""
        book, wanted, filled = self.book, set(keys), 0
        requests = [request for request in self._servings.requests() if request.key in wanted]
        whole, is_whole = Slice(book.oldest, book.end), True
        try:
            async for past in self._reader.read(requests, whole, patience=book.grid.buckets_per_day):
                filled += book.fill(past)
        except MetricsError:
            # Said by the reader; what it handed out before is good.
            is_whole = False
        if filled or not wanted <= self._tried:
            self._told(keys)
        if is_whole:
            self._read |= wanted
            self._tell_length(keys)
        return is_whole

    def _tell_length(self, keys: Collection[ServingKey]) -> None:
        days = self.book.known_days(keys)
        fields: dict[str, object] = {"servings": len(keys), "days": floor(10 * days) / 10}
        logger.info("history is there", extra=fields)
        if days < WEEKLY_DAYS:
            hint = "weekly patterns need two weeks: raise the retention of Prometheus, or give --history"
            logger.warning("history is short", extra={**fields, "remedy": hint})
