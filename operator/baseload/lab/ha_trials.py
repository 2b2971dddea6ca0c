"""`python -m baseload.lab.ha_trials`: hurt the leading operator in every way, many times, and judge by the audit log.

Runs inside the lab's network and prints one JSON object.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random
from statistics import median
from typing import Any, Final

from baseload.errors import ApiError, LabError
from baseload.lab.cluster import Lab
from baseload.lab.ha_audit import AuditedWrite, Judgement, LateWrite, audited_writes, judge
from baseload.lab.ha_world import QUIET, QUIET_REPLICAS, Churn, HurtOperator, Times, objects
from baseload.lab.kube_client import KubeClient, connect

_POLL_SECONDS: Final = 0.05
_LEADERSHIP_LOST: Final = 3
_STALE: Final = 409
_LATE_REPLICAS: Final = 5

Heal = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One leader change: what was done, and the Unix times of the fault and of the end of the trial."""

    fault: str
    began: float
    ended: float
    old: str
    new: str
    exit_code: int | None
    settled_seconds: float


class Trials:
    """Runs trials one after another with two operators, one of which leads."""

    def __init__(self, lab: Lab, namespace: str, times: Times, seed: int, client: KubeClient) -> None:
        self.operators: list[HurtOperator] = []
        self.tokens: list[str] = []
        self._lab = lab
        self._namespace = namespace
        self._times = times
        self._random = Random(seed)  # noqa: S311 (repeatable trials, no secret)
        self._client = client
        self.churn = Churn(client, namespace, self._random)
        self._started = 0

    async def run(self, faults: Sequence[str], progress: Callable[[str], None]) -> list[Trial]:
        """Run one trial for each fault and end every operator."""
        churning = asyncio.create_task(self.churn.run())
        try:
            await self._add()
            await self._add()
            found: list[Trial] = []
            while len(found) < len(faults):
                self.churn.running.set()
                trial = await self._trial(faults[len(found)])
                if trial is not None:
                    found.append(trial)
                    progress(f"{len(found)}/{len(faults)} {trial.fault}: old leader ended with {trial.exit_code}")
            return found
        finally:
            churning.cancel()
            for operator in self.operators:
                await operator.end()

    async def _trial(self, fault: str) -> Trial | None:
        """One leader change; None when the leader changed by itself before it was hurt."""
        leader, other = await self._pair()
        await asyncio.sleep(self._random.uniform(0.3, 1.5))
        if leader.exit_code is not None or not await leader.leads():
            return None
        began, heal = await self._hurt(fault, leader)
        await self._until(other.leads, f"{other.name} leads after {fault}")
        # The new leader writes over what the old one was about to write.
        await asyncio.sleep(self._random.uniform(0.2, 1.0) + self._times.tick / 2)
        await self._write_late_as(leader)
        heal()
        await self._until(lambda: _is(leader.exit_code is not None), f"{leader.name} ends after {fault}")
        self.churn.running.clear()
        quiet_from = time.monotonic()
        await self._until(self.churn.settled, f"every Deployment has its number after {fault}")
        settled = time.monotonic() - quiet_from
        await self._replace(leader)
        return Trial(fault, began, time.time(), leader.token_id, other.token_id, leader.exit_code, settled)

    async def _hurt(self, fault: str, leader: HurtOperator) -> tuple[float, Heal]:
        """Do it; the time, and what takes it back."""
        began, proxy = time.time(), leader.proxy
        if fault == "kill":
            leader.send_signal(signal.SIGKILL)
            return began, proxy.pass_on
        if fault == "stop":
            leader.send_signal(signal.SIGSTOP)
            return began, lambda: leader.send_signal(signal.SIGCONT)
        if fault == "stop-in-send":
            leader.stop_file.touch()
            await self._until(lambda: _is(leader.is_stopped), "a scale write stops the process")
            return time.time(), lambda: leader.send_signal(signal.SIGCONT)
        if fault == "cut":
            proxy.cut()
        elif fault == "hold":
            proxy.hold()
        else:
            proxy.delay(self._times.lease)
        return began, proxy.pass_on

    async def _write_late_as(self, old: HurtOperator) -> None:
        """Send what a request of the old leader would be that was on its way: to an object nobody wrote since."""
        name = self._random.choice(QUIET)
        path = f"/apis/apps/v1/namespaces/{self._namespace}/deployments/{name}/scale"
        kubeconfig = await asyncio.to_thread(old.kubeconfig, self._lab.api_url)
        async with connect(kubeconfig) as late:
            version = (await self._client.call("GET", path))["metadata"]["resourceVersion"]
            body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": _LATE_REPLICAS}}
            await late.call("PATCH", path, body=body, content_type="application/merge-patch+json")

        async def corrected() -> bool:
            return bool((await self._client.call("GET", path))["spec"]["replicas"] == QUIET_REPLICAS)

        await self._until(corrected, f"a late write to {name} is corrected")

    async def _pair(self) -> tuple[HurtOperator, HurtOperator]:
        """Wait for one operator that leads and another that is ready; what ended by itself is replaced."""
        deadline = time.monotonic() + self._times.patience
        while time.monotonic() < deadline:
            for operator in tuple(self.operators):
                if operator.exit_code is not None:
                    await self._replace(operator)
            states = [(await operator.leads(), await operator.is_ready()) for operator in self.operators]
            for number, (leads, _) in enumerate(states):
                if leads and states[1 - number] == (False, True):
                    return self.operators[number], self.operators[1 - number]
            await asyncio.sleep(_POLL_SECONDS)
        raise LabError(f"no leader with a standby in {self._times.patience:g} s")

    async def _add(self) -> None:
        self._started += 1
        operator = HurtOperator(self._lab, f"leader-{self._started}", self._times)
        await operator.start()
        self.operators.append(operator)
        self.tokens.append(operator.token_id)

    async def _replace(self, ended: HurtOperator) -> None:
        self.operators.remove(ended)
        await ended.end()
        await self._add()

    async def _until(self, look: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + self._times.patience
        while time.monotonic() < deadline:
            try:
                if await look():
                    return
            except ApiError:
                pass
            await asyncio.sleep(_POLL_SECONDS)
        raise LabError(f"not within {self._times.patience:g} s: {what}")


async def _is(value: bool) -> bool:
    return value


async def run_trials(
    lab: Lab,
    namespace: str,
    times: Times,
    faults: Sequence[str],
    *,
    seed: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Run the trials in a lab that has Baseload's API, from inside its network, and return what came of them."""
    await asyncio.to_thread(lab.kubectl, "apply", "-f", "-", stdin="\n".join(map(json.dumps, objects(namespace))))
    async with connect(lab.kubeconfig) as client:
        trials = Trials(lab, namespace, times, seed, client)
        done = await trials.run(faults, progress)
    writes = audited_writes(lab.audit_log, trials.tokens)
    found = judge(writes)
    wrong = [late for late in found.late if is_wrong(late.write, trials.churn)]
    return {**report(done, writes, found, times), **corrections(wrong)}


def is_wrong(write: AuditedWrite, churn: Churn) -> bool:
    """Whether a late write left another number than was wanted then; one whose number is not known counts as wrong."""
    return write.replicas is None or write.replicas != churn.wanted_at(write.subject[2], write.done)


def corrections(wrong: Sequence[LateWrite]) -> dict[str, Any]:
    """Sum up how long wrong late writes stood until the new leader wrote the object."""
    corrected = [late.corrected_seconds for late in wrong if late.corrected_seconds is not None]
    return {
        "late_writes_with_a_wrong_number": len(wrong),
        "late_writes_corrected": len(corrected),
        "late_correction_seconds": _spread(corrected),
    }


def report(trials: Sequence[Trial], writes: Sequence[AuditedWrite], found: Judgement, times: Times) -> dict[str, Any]:
    """Sum up: what was accepted or refused of old leaders, how long takeovers took."""
    rows = [_row(trial, writes, found) for trial in trials]
    return {
        "trials": len(trials),
        "times_seconds": asdict(times),
        "leaders": len(found.leaders),
        "accepted_writes": sum(write.accepted and not write.is_lease for write in writes),
        "accepted_writes_over_a_newer_leader": len(found.overwrites),
        "writes_of_old_leaders_refused_as_stale": sum(write.code == _STALE for write in found.refused),
        "writes_of_old_leaders_given_up_on_the_way": sum(write.code != _STALE for write in found.refused),
        "late_writes_elsewhere": len(found.late),
        "takeover_seconds": _spread([row["takeover_seconds"] for row in rows]),
        "first_write_seconds": _spread([row["first_write_seconds"] for row in rows]),
        "settled_seconds": _spread([trial.settled_seconds for trial in trials]),
        "old_leaders_ended_by_themselves": sum(trial.exit_code == _LEADERSHIP_LOST for trial in trials),
        "by_fault": {
            fault: _spread([row["takeover_seconds"] for row in rows if row["fault"] == fault])
            for fault in sorted({trial.fault for trial in trials})
        },
        "each": rows,
    }


def _row(trial: Trial, writes: Sequence[AuditedWrite], found: Judgement) -> dict[str, Any]:
    new = [write for write in writes if write.token == trial.new and write.accepted and write.done >= trial.began]
    leases = [write.done for write in new if write.is_lease]
    others = [write.done for write in new if not write.is_lease]
    return {
        "fault": trial.fault,
        "takeover_seconds": round(min(leases) - trial.began, 3),
        "first_write_seconds": round(min(others) - trial.began, 3),
        "settled_seconds": round(trial.settled_seconds, 3),
        "refused": sum(write.token == trial.old for write in found.refused),
        "late_elsewhere": sum(late.write.token == trial.old for late in found.late),
        "exit_code": trial.exit_code,
    }


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"least": round(min(values), 3), "median": round(median(values), 3), "most": round(max(values), 3)}


FAULTS: Final = ("kill", "stop", "stop-in-send", "cut", "hold", "slow")


def main() -> None:
    """Run the trials that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=float, nargs=4, metavar=("LEASE", "RENEW", "RETRY", "TICK"), required=True)
    given = parser.parse_args()
    order = [FAULTS[number % len(FAULTS)] for number in range(given.trials)]
    Random(given.seed).shuffle(order)  # noqa: S311 (repeatable trials, no secret)

    def progress(message: str) -> None:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()

    times = Times(*given.times)
    work = run_trials(Lab(given.lab), given.namespace, times, order, seed=given.seed, progress=progress)
    result = asyncio.run(work)
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
