"""When Python looks for reference cycles: seldom, because with a large fleet each look costs more than a decision.

Half a million long-lived objects make a full collection take 150 ms and the default thresholds make many of them: it
was half of all processor time. Nearly everything here is freed by counting references; cycles come from exceptions
and connections, a few each minute.
"""

import asyncio
import gc

NEW_OBJECTS = 20_000
"""So many new objects are looked at at once, for about 2 ms."""

NEVER = 1_000_000
OLD_OBJECTS_SECONDS = 3600.0


def collect_rarely() -> None:
    """Look at new objects only, in small portions; the old ones are left to `tidy_up`."""
    gc.set_threshold(NEW_OBJECTS, NEVER, NEVER)


async def tidy_up() -> None:
    """Look at all objects once an hour, until cancelled: what leaked in cycles stays bounded."""
    while True:
        await asyncio.sleep(OLD_OBJECTS_SECONDS)
        gc.collect()
