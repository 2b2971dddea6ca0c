"""The serving of a simulation: its bounds from the file, its accelerators from its workload if that is there too."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from baseload.api.models import CapacityPool, ModelServing, TargetRef
from baseload.cli._manifests import read_manifests
from baseload.errors import ConfigError
from baseload.observe.placement import pod_shape
from baseload.plan.snapshot import ServingSpec
from baseload.sim.policies.operator_tick import SPEC


@dataclass(frozen=True, slots=True)
class Simulated:
    """One serving with the pools of the files, and how many accelerators one of its replicas holds."""

    name: str
    serving: ModelServing
    pools: dict[str, CapacityPool]
    accelerators: int

    @property
    def spec(self) -> ServingSpec:
        """The spec of the replay with the bounds and the pace of the file; its latencies are those of the replay."""
        given = self.serving.spec
        down = given.behavior.scale_down
        return replace(
            SPEC,
            min_replicas=given.replicas.min,
            max_replicas=given.replicas.max,
            stabilization_seconds=float(down.stabilization_seconds),
            max_step_percent=down.max_step_percent,
        )


def read_simulated(paths: Sequence[Path]) -> Simulated:
    """Read the one serving and the pools of some files; ConfigError if there are none or several servings."""
    found = read_manifests(paths)
    if len(found.servings) != 1:
        names = ", ".join(found.servings) or "none"
        raise ConfigError(f"-f: one ModelServing is simulated, and the files have {names}; name the file of one")
    if not found.pools:
        raise ConfigError("-f: there is no CapacityPool in the files; add -f POOL.yaml, for price and lead time")
    ((name, serving),) = found.servings.items()
    return Simulated(name, serving, found.pools, _accelerators(serving.spec.target_ref, found.others))


def _accelerators(target: TargetRef, others: Sequence[dict[str, Any]]) -> int:
    """Accelerators of a pod of the target if its workload is in the files, else one."""
    for other in others:
        kind, metadata, spec = other.get("kind"), other.get("metadata") or {}, other.get("spec") or {}
        if kind == target.kind and metadata.get("name") == target.name:
            template = (spec.get("template") or {}).get("spec") or {}
            return max((count for _, count in pod_shape(template).requests), default=1)
    return 1
