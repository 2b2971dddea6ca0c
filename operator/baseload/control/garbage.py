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
FIRST_SECONDS = 30.0
OLD_OBJECTS_SECONDS = 600.0


def collect_rarely() -> None:
    """Look at new objects only, in small portions; the old ones are left to `tidy_up`."""
    gc.set_threshold(NEW_OBJECTS, NEVER, NEVER)


async def tidy_up() -> None:
    """Clear away what the start left, then look at all that is younger each ten minutes, until cancelled.

    kopf starts a task for each object that it lists, and each leaves cycles behind. What lives after the start is
    frozen: most of it lives as long as the process, and later looks are shorter without it.
    """
    await asyncio.sleep(FIRST_SECONDS)
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(OLD_OBJECTS_SECONDS)
        gc.collect()
