"""The HPA as the one who decides in a demo: the real controller, its metric through prometheus-adapter."""

import time
from typing import Final

from baseload.errors import LabError
from baseload.lab import prometheus_adapter
from baseload.lab.cluster import Lab
from baseload.lab.demo_objects import LABELS, NAME, NAMESPACE, World
from baseload.lab.hpa import HPA_USER, HpaSettings, hpa, sees_its_metric

_METRIC_SECONDS: Final = 90.0


class Autoscaler:
    """prometheus-adapter as a process of the lab, and the HPA that reads from it."""

    user = HPA_USER
    """Who writes, in the audit log."""

    def __init__(self, lab: Lab, settings: HpaSettings) -> None:
        self.settings = settings
        self._lab = lab
        self._process = prometheus_adapter.start(lab)

    def check(self) -> None:
        """Raise LabError if the adapter is no longer running."""
        if self._process.poll() is not None:
            log = self._lab.log(prometheus_adapter.PROCESS)
            raise LabError(f"prometheus-adapter ended with exit code {self._process.returncode}; see {log}")

    def hand_over(self, _world: World) -> None:
        """Apply the HPA, and wait until its controller has read the metric."""
        self._lab.apply(hpa(NAME, NAMESPACE, LABELS, self.settings))
        deadline = time.monotonic() + _METRIC_SECONDS
        while time.monotonic() < deadline:
            self.check()
            if sees_its_metric(self._lab.kubectl.get("hpa", NAME, "--namespace", NAMESPACE)):
                return
            time.sleep(0.5)
        raise LabError(f"the HPA read no metric in {_METRIC_SECONDS:g} s; see `kubectl describe hpa {NAME}` in the lab")

    def breaches(self) -> list[tuple[float, float]]:
        """Return nothing: an HPA does not say which sample it answers."""
        return []

    def stop(self) -> None:
        """Remove the HPA and stop the adapter."""
        self._lab.kubectl("delete", "hpa", NAME, "--namespace", NAMESPACE, "--ignore-not-found")
        prometheus_adapter.stop(self._lab)
