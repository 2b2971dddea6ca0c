"""What the node agent reads out of a pod: whether and how it is served."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from baseload.errors import ConfigError
from baseload.lab.faults import NO_FAULT, Fault
from baseload.lab.serving_images import LLAMA_CPP_REPOSITORY, SERVING_IMAGES

SPEED_ANNOTATION: Final = "lab.baseload.dev/speed"
START_UP_ANNOTATION: Final = "lab.baseload.dev/start-up-seconds"
FAULT_ANNOTATION: Final = "lab.baseload.dev/fault"
DEFAULT_PORT: Final = 8000

_IMAGES = re.compile(SERVING_IMAGES)


@dataclass(frozen=True, slots=True)
class ServedPod:
    """A pod object whose first container runs a serving image."""

    raw: dict[str, Any]

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return str(self.raw["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return str(self.raw["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.raw["metadata"]["name"])

    @property
    def path(self) -> str:
        """The pod's path in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    @property
    def node_name(self) -> str | None:
        """The node it is bound to."""
        name: str | None = self.raw["spec"].get("nodeName")
        return name

    @property
    def address(self) -> str | None:
        """Its IP address, None before it runs."""
        address: str | None = self.raw["status"].get("podIP")
        return address

    @property
    def started_unix_seconds(self) -> float | None:
        """When it was started on its node, to the second; None before."""
        return _unix_seconds(self.raw["status"].get("startTime"))

    @property
    def ready(self) -> bool:
        """Whether its condition Ready is true."""
        conditions = self.raw["status"].get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    @property
    def grace_ends_unix_seconds(self) -> float | None:
        """When it must be gone; None unless it is being deleted (deletionTimestamp already counts the grace)."""
        return _unix_seconds(self.raw["metadata"].get("deletionTimestamp"))

    @property
    def finished(self) -> bool:
        """Whether its containers have ended for good."""
        return self.raw["status"].get("phase") in ("Succeeded", "Failed")

    @property
    def is_llama_cpp(self) -> bool:
        """Whether a real llama.cpp server serves it, not the emulated engine."""
        return LLAMA_CPP_REPOSITORY in self._container["image"]

    @property
    def port(self) -> int:
        """The container port named `http`, else 8000."""
        for port in self._container.get("ports") or []:
            if port.get("name") == "http":
                return int(port["containerPort"])
        return DEFAULT_PORT

    @property
    def accelerators(self) -> int:
        """Accelerators its container is limited to: every extended resource counts, at least 1."""
        limits = (self._container.get("resources") or {}).get("limits") or {}
        return sum(int(value) for name, value in limits.items() if "/" in name) or 1

    @property
    def model(self) -> str:
        """Name of the model to load: `--model X` or the `X` of `vllm serve X`; ConfigError without one."""
        words = self._words
        value = self.argument("model")
        if value is None and "serve" in words[:-1]:
            value = words[words.index("serve") + 1]
        if value is None:
            raise ConfigError(f"pod {self.namespace}/{self.name}: its arguments name no model: add --model NAME")
        return value

    @property
    def speed(self) -> float:
        """By what the annotation divides its start-up time; ConfigError if that is not a positive number."""
        return self._positive(SPEED_ANNOTATION, 1.0) or 1.0

    @property
    def start_up_seconds(self) -> float | None:
        """The start-up time its annotation sets; None without it."""
        return self._positive(START_UP_ANNOTATION, None)

    @property
    def fault(self) -> Fault:
        """The fault its annotation sets, as JSON; ConfigError if it is none."""
        text = self._annotations.get(FAULT_ANNOTATION)
        if text is None:
            return NO_FAULT
        try:
            return Fault.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ConfigError(f"annotation {FAULT_ANNOTATION}: {text!r}: {first['msg']}") from error

    def argument(self, name: str) -> str | None:
        """Return the value of `--name value` or `--name=value` in the container's command line."""
        words = self._words
        for index, word in enumerate(words):
            if word == f"--{name}" and index + 1 < len(words):
                return words[index + 1]
            if word.startswith(f"--{name}="):
                return word.split("=", 1)[1]
        return None

    def number(self, name: str, default: int) -> int:
        """Return the value of an argument as a positive integer; ConfigError if it is not one."""
        text = self.argument(name)
        if text is None:
            return default
        if not text.isdigit() or int(text) < 1:
            raise ConfigError(f"pod {self.namespace}/{self.name}: --{name} {text!r} is not a positive whole number")
        return int(text)

    @property
    def _container(self) -> dict[str, Any]:
        container: dict[str, Any] = self.raw["spec"]["containers"][0]
        return container

    @property
    def _words(self) -> list[str]:
        return [*(self._container.get("command") or []), *(self._container.get("args") or [])]

    @property
    def _annotations(self) -> dict[str, str]:
        return self.raw["metadata"].get("annotations") or {}

    def _positive(self, annotation: str, default: float | None) -> float | None:
        text = self._annotations.get(annotation)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        # Written so that NaN fails too.
        if not 0 <= value < float("inf") or (annotation == SPEED_ANNOTATION and value == 0):
            raise ConfigError(f"annotation {annotation}: {text!r} is not a positive number")
        return value


def served(pod: dict[str, Any]) -> bool:
    """Whether the agent serves this pod object."""
    return bool(_IMAGES.search(pod["spec"]["containers"][0]["image"]))


def _unix_seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
