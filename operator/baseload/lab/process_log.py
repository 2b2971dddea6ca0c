"""Log lines of the lab's own processes: time, level, a constant message and its fields."""

import logging
from typing import Final

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldsFormatter(logging.Formatter):
    """Appends what was given as `extra` to the message, as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = [f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD]
        return " ".join([super().format(record), *fields])


def log_to_stderr() -> None:
    """Log everything from INFO on to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldsFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
