"""The one exception tree of Baseload.

Each error says which thing, which value and what to do about it::

    BaseloadError                    anything Baseload raises on purpose
    ├── ConfigError                  a setting, flag or file that a person wrote is wrong (CLI exit 2)
    ├── ApiError                     the Kubernetes API answered with an error
    │   ├── ConflictError            409: somebody else wrote first; read again and decide again
    │   ├── NotFoundError            404: the object is gone
    │   ├── ForbiddenError           401/403: the right is missing; the message names verb and resource
    │   ├── NotLeaderError           not sent at all: another operator may lead by now
    │   └── UnavailableError         429, 5xx, timeout or no connection: try again later
    ├── MetricsError                 Prometheus could not answer; signals become Missing, never zero
    └── LabError                     the embedded lab could not do what it was asked (CLI exit 1)
        ├── BuildError               a tool of the lab did not build
        └── LoadError                a load run was refused or is invalid
"""


class BaseloadError(Exception):
    """Root of everything Baseload raises on purpose."""


class ConfigError(BaseloadError):
    """A setting, flag or file that a person wrote is wrong; the message names it, its value and the remedy."""


class ApiError(BaseloadError):
    """The Kubernetes API answered with an error; `status` is the HTTP code, 0 when there was none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ConflictError(ApiError):
    """409: the resourceVersion we sent is stale, so somebody else wrote first."""


class NotFoundError(ApiError):
    """404: the object is gone."""


class ForbiddenError(ApiError):
    """401 or 403: a right is missing."""


class NotLeaderError(ApiError):
    """A write that we did not send, since this process does not lead, or no longer for certain."""


class UnavailableError(ApiError):
    """429, 5xx, timeout or no connection; `retry_after_seconds` is the server's wish, if it had one."""

    def __init__(self, message: str, *, status: int = 0, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after_seconds = retry_after_seconds


class MetricsError(BaseloadError):
    """Prometheus could not be asked or its answer could not be used."""


class LabError(BaseloadError):
    """The embedded lab could not do what it was asked."""


class BuildError(LabError):
    """A tool of the lab did not build."""


class LoadError(LabError):
    """A load run was refused or is invalid."""


def api_error(status: int, message: str, retry_after_seconds: float | None = None) -> ApiError:
    """The error of the tree above that fits an HTTP status (0: no answer at all)."""
    if status == 409:
        return ConflictError(message, status=status)
    if status == 404:
        return NotFoundError(message, status=status)
    if status in (401, 403):
        return ForbiddenError(message, status=status)
    if status in (0, 408, 429) or status >= 500:
        return UnavailableError(message, status=status, retry_after_seconds=retry_after_seconds)
    return ApiError(message, status=status)
