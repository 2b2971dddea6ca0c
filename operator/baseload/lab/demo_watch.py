"""Follow what happens during a run through files that processes of the lab write: kubectl watches, logs, snapshots.

Reading files keeps the demo in one thread, and `lab down` ends every watcher whatever becomes of the demo.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from baseload.lab.cluster import Lab
from baseload.lab.demo_objects import NAME, NAMESPACE
from baseload.lab.demo_record import DecisionRecord, PodLife, WantedStep

# A watch that starts again lists first: what it has not listed after this long is gone.
_RELIST_SECONDS: Final = 3.0


class Tail:
    """The complete lines of a growing file, each once; a file that does not exist yet has none."""

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self._path = path
        self._offset = path.stat().st_size if from_end and path.exists() else 0

    def lines(self) -> list[str]:
        """Return the lines that became complete since the last call."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode("utf-8", errors="replace").splitlines()


class Watch:
    """`kubectl get RESOURCE --watch` as a process of the lab; started again when it ends (an API server restart)."""

    def __init__(self, lab: Lab, name: str, resource: str, selector: str = "") -> None:
        self._lab, self._name = lab, name
        options = ["--selector", selector] if selector else []
        self._command = ["kubectl", "get", resource, "--namespace", NAMESPACE, *options]
        self._command += ["--watch", "--output-watch-events", "--output", "json"]
        self._tail = Tail(lab.log(name), from_end=True)
        self._text = ""
        self._process = self._start()
        self.restarted_at: float | None = None
        """Unix time of the last restart, None when there was none."""

    def _start(self) -> "Popen[bytes]":
        return self._lab.popen(self._command, name=self._name)

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (ADDED | MODIFIED | DELETED, object) for what arrived since the last call."""
        self._text += "".join(f"{line}\n" for line in self._tail.lines())
        decoder = json.JSONDecoder()
        while True:
            start = self._text.find("{")
            if start < 0:
                break
            try:
                event, end = decoder.raw_decode(self._text, start)
            except ValueError:
                break
            self._text = self._text[end:]
            yield event["type"], event["object"]
        if self._process.poll() is not None:
            self._text = ""
            self.restarted_at = time.time()
            self._process = self._start()

    def stop(self) -> None:
        """End the process."""
        self._lab.stop(self._name)


class Cluster:
    """What the run's pods, Deployment and ModelServing did; all times are seconds since `started` (Unix)."""

    def __init__(self, lab: Lab, *, with_serving: bool) -> None:
        self.started = time.time()
        """Second 0 of the records; may be set until the first record is read."""
        self.serving: dict[str, Any] = {}
        """The newest ModelServing."""
        self._pods: dict[str, PodLife] = {}
        self._seen: dict[str, float] = {}
        self._wanted: list[tuple[float, int]] = []
        self._decisions: dict[str, tuple[float, dict[str, Any], str]] = {}
        self._pod_watch = Watch(lab, "demo-pods", "pods", f"app={NAME}")
        self._target_watch = Watch(lab, "demo-deployment", "deployments", f"app={NAME}")
        self._serving_watch = Watch(lab, "demo-modelserving", "modelservings") if with_serving else None
        self._polled = self.started

    def poll(self) -> None:
        """Take in what happened since the last call; times are as exact as calls are frequent."""
        now = time.time()
        for kind, pod in self._pod_watch.events():
            self._take_pod(kind, pod, now)
        for kind, target in self._target_watch.events():
            replicas = target["spec"]["replicas"]
            if kind != "DELETED" and (not self._wanted or self._wanted[-1][1] != replicas):
                self._wanted.append((now, replicas))
        for kind, serving in self._serving_watch.events() if self._serving_watch else ():
            if kind != "DELETED":
                self._take_serving(serving)
        self._drop_unlisted(now)
        self._polled = now

    def _take_pod(self, kind: str, pod: dict[str, Any], now: float) -> None:
        name = pod["metadata"]["name"]
        self._seen[name] = now
        life = self._pods.get(name)
        if life is None:
            # The timestamp is cut to whole seconds; it was not there at the last poll either.
            created = max(_unix(pod["metadata"]["creationTimestamp"]), min(self._polled, now))
            life = self._pods[name] = PodLife(name, created)
        life.bound = bool(pod["spec"].get("nodeName"))
        if life.ending_seconds is None and pod["metadata"].get("deletionTimestamp"):
            life.ending_seconds = now
        if kind == "DELETED":
            life.gone_seconds = now
        elif life.ready_seconds is None and _is_ready(pod):
            life.ready_seconds = now

    def _drop_unlisted(self, now: float) -> None:
        restarted = self._pod_watch.restarted_at
        if restarted is None or now < restarted + _RELIST_SECONDS:
            return
        for life in self._pods.values():
            if life.gone_seconds is None and self._seen[life.name] < restarted:
                life.gone_seconds = now
        self._pod_watch.restarted_at = None

    def _take_serving(self, serving: dict[str, Any]) -> None:
        self.serving = serving
        decision = self.last_decision
        for entry in serving.get("status", {}).get("history", ()):
            key = json.dumps(entry, sort_keys=True)
            if key not in self._decisions:
                same = decision.get("replicas", {}).get("final") == entry.get("to")
                self._decisions[key] = (_unix(entry["time"]), entry, decision.get("message", "") if same else "")

    @property
    def last_decision(self) -> dict[str, Any]:
        """`status.lastDecision` of the ModelServing, empty before the first."""
        decision: dict[str, Any] = self.serving.get("status", {}).get("lastDecision") or {}
        return decision

    @property
    def wanted(self) -> int:
        """The Deployment's spec.replicas, as last seen."""
        return self._wanted[-1][1] if self._wanted else 0

    @property
    def ready(self) -> int:
        """Pods that take requests."""
        return sum(pod.serves_at(self._polled) for pod in self._pods.values())

    @property
    def bound(self) -> int:
        """Pods that hold an accelerator."""
        return sum(pod.bound and pod.gone_seconds is None for pod in self._pods.values())

    def pods(self) -> tuple[PodLife, ...]:
        """Return every pod's life."""
        return tuple(
            replace(
                pod,
                created_seconds=pod.created_seconds - self.started,
                ready_seconds=self._since(pod.ready_seconds),
                ending_seconds=self._since(pod.ending_seconds),
                gone_seconds=self._since(pod.gone_seconds),
            )
            for pod in self._pods.values()
        )

    def steps(self, until: float) -> tuple[WantedStep, ...]:
        """Return the wanted replicas at second 0 and each change up to second `until`."""
        steps = [WantedStep(max(time - self.started, 0.0), count) for time, count in self._wanted]
        before = [step for step in steps if step.time_seconds == 0.0][-1:]
        return (*before, *(step for step in steps if 0.0 < step.time_seconds <= until))

    def decisions(self, until: float) -> tuple[DecisionRecord, ...]:
        """Return each change of the wanted replicas up to second `until` that the operator recorded, oldest first."""
        records = [
            DecisionRecord(round(time - self.started, 1), entry["from"], entry["to"], entry["reason"], message)
            for time, entry, message in self._decisions.values()
        ]
        inside = [record for record in records if 0 <= record.time_seconds <= until]
        return tuple(sorted(inside, key=lambda record: record.time_seconds))

    def stop(self) -> None:
        """End the watches."""
        for watch in (self._pod_watch, self._target_watch, self._serving_watch):
            if watch is not None:
                watch.stop()

    def _since(self, time: float | None) -> float | None:
        return None if time is None else time - self.started


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _unix(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
