"""What happens when the leader changes: 50 trials with a short lease, three with the production one."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import yaml

from baseload.errors import LabError
from baseload.lab.cluster import Lab, LabOptions
from baseload.lab.demo_cluster import install_api
from baseload.lab.ha_audit import AUDIT_POLICY
from baseload.lab.paths import lab_directory
from baseload.sim.bench import Bench, Progress

_NAME: Final = "bench-ha"
_SHORT: Final = ("1.5", "1.0", "0.25", "1")
_PRODUCTION: Final = ("15", "10", "2", "5")
_SHORT_TRIALS, _PRODUCTION_TRIALS = 50, 3
_SEED: Final = 4


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Run the trials on a lab of its own whose audit log keeps the answers to the operators' writes."""
    lab = Lab(_NAME)
    lab.down()
    policy = lab_directory(_NAME).with_suffix(".audit-policy.yaml")
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text(yaml.safe_dump(AUDIT_POLICY))
    try:
        lab.up(LabOptions(api_server_args=(f"--audit-policy-file={policy}",)), progress)
        install_api(lab)
        return {
            "short_lease": _trials(lab, "short", _SHORT, _SHORT_TRIALS, progress),
            "production_lease": _trials(lab, "production", _PRODUCTION, _PRODUCTION_TRIALS, progress),
        }
    finally:
        lab.down()
        policy.unlink(missing_ok=True)


def _trials(lab: Lab, namespace: str, times: tuple[str, ...], count: int, progress: Progress) -> dict[str, Any]:
    progress(f"ha: {count} trials with a lease of {times[0]} s")
    module = [sys.executable, "-m", "baseload.lab.ha_trials", "--lab", lab.name, "--namespace", namespace]
    command = lab.command([*module, "--trials", str(count), "--seed", str(_SEED), "--times", *times])
    answer = subprocess.run(command, env=lab.environment(), stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        raise LabError(f"the trials ended with exit code {answer.returncode}; logs of the operators: {lab.log('any')}")
    result: dict[str, Any] = json.loads(answer.stdout)
    return result


BENCH = Bench("ha", "what do a lost leader and its late writes cost?", _measure)
