"""The other policy of a demo: Kubernetes' own HorizontalPodAutoscaler, tuned as a good engineer would.

It scales on requests that run or wait, because these rise with demand before any latency does, towards a share of what
one replica was measured to hold inside the objective. It may double, or add four, each 15 s, which no start-up outruns,
and holds as long before it goes down as Baseload does. docs/how-to/compare-with-hpa.md says why each of these.
"""

from dataclasses import dataclass
from typing import Any, Final

from baseload.lab.prometheus_adapter import IN_FLIGHT

HPA_USER: Final = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
"""The controller, as the audit log knows it."""

_POLICY_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class HpaSettings:
    """What an HPA is told: requests in flight per replica, bounds, hold and, of the controller, its period."""

    in_flight_per_replica: float
    max_replicas: int
    stabilization_seconds: int
    sync_seconds: float


def hpa(name: str, namespace: str, labels: dict[str, str], settings: HpaSettings) -> dict[str, Any]:
    """Return the HPA of Deployment `name`."""
    double = {"type": "Percent", "value": 100, "periodSeconds": _POLICY_SECONDS}
    four = {"type": "Pods", "value": 4, "periodSeconds": _POLICY_SECONDS}
    target = {"type": "AverageValue", "averageValue": f"{round(1000 * settings.in_flight_per_replica)}m"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": settings.max_replicas,
            "metrics": [{"type": "Pods", "pods": {"metric": {"name": IN_FLIGHT}, "target": target}}],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [double, four]},
                "scaleDown": {
                    "stabilizationWindowSeconds": settings.stabilization_seconds,
                    "policies": [double],
                },
            },
        },
    }


def sees_its_metric(found: dict[str, Any]) -> bool:
    """Whether an HPA object says that its controller could read the metric."""
    conditions = found.get("status", {}).get("conditions", ())
    return any(c["type"] == "ScalingActive" and c["status"] == "True" for c in conditions)
