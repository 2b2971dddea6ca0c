"""What each reason means for the one who asks why, and what can be done about it: the words of `baseload why`.

A reason without a sentence here fails a test. `{name}`, `{namespace}`, `{kind}` and `{target}` stand for the
ModelServing, its namespace and its workload; nothing else is filled in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from baseload.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Sentence:
    """`says` is a sentence about the serving; `advice` is what a person can do, empty when nothing has to be done."""

    says: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """The serving that a sentence speaks of, and the workload that it scales."""

    name: str
    namespace: str
    kind: str
    target: str


def sentence(word: str, subject: Subject) -> Sentence:
    """The sentence of a reason as it stands in a status; a word of a newer operator has none, and that is said."""
    found = SENTENCES.get(word)
    if found is None:
        return Sentence(f"This command has no words for {word}.", "use the command of the operator's own version")
    return Sentence(_fill(found.says, subject), _fill(found.advice, subject))


def _fill(text: str, subject: Subject) -> str:
    return text.format(name=subject.name, namespace=subject.namespace, kind=subject.kind, target=subject.target)


_SEE_SIGNALS = "run `baseload doctor -n {namespace} --prometheus-url URL`; it names the query to try"
_SAY_GO_ON = (
    "stop the other writer, then `kubectl annotate modelservings.baseload.dev {name} -n {namespace}"
    " --overwrite baseload.dev/looked=$(date +%s)`"
)

SENTENCES: Final[Mapping[str, Sentence]] = {
    # Why the planner wanted a number.
    Reason.DEMAND_COVERED: Sentence("The replicas there are serve the demand inside the objective, so nothing moves."),
    Reason.DEMAND_ROSE: Sentence(
        "More requests are expected by the time a new replica could be up than the replicas there are can serve"
        " inside the objective."
    ),
    Reason.DEMAND_FELL: Sentence("Fewer replicas are enough for the demand that is seen and expected."),
    Reason.FORECAST_ROSE: Sentence(
        "Its history says that more will be asked for by the time a new replica can serve, so it is ordered now."
    ),
    Reason.FORECAST_FELL: Sentence("Its history says that fewer replicas are enough, and the demand now agrees."),
    Reason.FORECAST_BROKEN: Sentence(
        "More is asked for than its history let expect, so the rate now decides as well.",
        "if such jumps are planned, a schedule in `spec.schedules` prepares for them",
    ),
    Reason.DEMAND_HOLDS: Sentence(
        "Its history says that fewer replicas will be enough, but the demand now still needs these."
    ),
    Reason.BACKLOG: Sentence("Requests have piled up, so replicas are added that work them off in a start-up time."),
    Reason.OBJECTIVE_AT_RISK: Sentence(
        "Queues or latencies move so that the objective would be missed soon, so it did not wait for the forecast."
    ),
    Reason.OBJECTIVE_MISSED: Sentence(
        "Requests are outside the objective now, so it did not wait for the forecast.",
        "if this happens at every rise, raise `spec.replicas.min`: a new replica takes a start-up time to help",
    ),
    Reason.NO_TRAFFIC: Sentence(
        "The replicas answer the scrapes but nobody sends requests, so the least number is wanted."
    ),
    Reason.MODEL_UNKNOWN: Sentence(
        "It has not learned yet what one replica can do, so it keeps the sequences per replica at what works now.",
        "wait for some minutes of traffic",
    ),
    # What changed or held the number.
    Reason.MIN_REPLICAS: Sentence(
        "The number is never below `spec.replicas.min`.", "lower `spec.replicas.min` if fewer should be allowed"
    ),
    Reason.MAX_REPLICAS: Sentence(
        "The number is never above `spec.replicas.max`, whatever the demand asks for.",
        "raise `spec.replicas.max` if more should be allowed",
    ),
    Reason.SCHEDULED_MIN: Sentence(
        "A schedule of `spec.schedules` is in force, or begins within one start-up time, and asks for this many.",
        "change `spec.schedules` if fewer should be allowed then",
    ),
    Reason.SCHEDULED_MAX: Sentence(
        "A schedule of `spec.schedules` is in force and allows no more.",
        "raise `replicas.max` of that schedule if more should be allowed then",
    ),
    Reason.PAUSED: Sentence(
        "An annotation baseload.dev/paused... of the ModelServing holds the number.",
        "`kubectl annotate modelservings.baseload.dev {name} -n {namespace} baseload.dev/paused-"
        " baseload.dev/paused-scale-in- baseload.dev/paused-scale-out- baseload.dev/paused-replicas-`",
    ),
    Reason.METRICS_MISSING: Sentence(
        "A signal is missing, and a missing signal is never taken for zero: nothing goes down.", _SEE_SIGNALS
    ),
    Reason.LOSS_SCALE_UP: Sentence(
        "No demand could be read for minutes and `spec.onMetricsLoss` says ScaleUp, so replicas are added in the dark.",
        _SEE_SIGNALS,
    ),
    Reason.LOSS_FALLBACK: Sentence(
        "No demand could be read for minutes, and `spec.onMetricsLoss` says Fallback, so its `replicas` are there.",
        _SEE_SIGNALS,
    ),
    Reason.ROLLOUT_IN_PROGRESS: Sentence(
        "{kind} '{target}' is replacing its pods, and pods of two revisions are no measure of how few are enough.",
        "`kubectl rollout status {kind} {target} -n {namespace}` shows how far it is",
    ),
    Reason.STABILIZATION: Sentence(
        "A higher number was wanted a short while ago; it goes down when a whole scale-down window asked for less.",
        "shorten `spec.behavior.scaleDown.stabilizationSeconds` if that is too slow",
    ),
    Reason.STARTING_UP: Sentence(
        "Replicas that demand asked for are starting, and cancelling them now would waste the wait for the next rise."
    ),
    Reason.STEP_LIMITED: Sentence(
        "One step takes away only a part of the replicas; the next steps follow.",
        "raise `spec.behavior.scaleDown.maxStepPercent` if that is too slow",
    ),
    Reason.DRAINING: Sentence(
        "Replicas that were taken away still answer their requests, and no more go before enough of those are done.",
        "if that takes long, see `terminationGracePeriodSeconds` of the pods",
    ),
    Reason.WARMING_UP: Sentence(
        "The operator started, took over, or began to scale this target lately, and takes nothing away before it has"
        " watched a whole scale-down window."
    ),
    Reason.SNAPSHOT_STALE: Sentence(
        "The operator has not heard from the API server for a while and does not act on an old picture.",
        "see the operator's log and whether the API server answers it",
    ),
    Reason.CAPACITY_SHORT: Sentence(
        "Replicas wait for accelerators: fewer are free in the pools that take these pods.",
        "add nodes, free accelerators, or lower `spec.replicas.max`",
    ),
    Reason.PODS_UNPLACED: Sentence(
        "Accelerators are free, yet no node took the waiting pods for a minute: they need something else as well.",
        "read what `kubectl describe pod` says of a Pending one: memory, a taint, a quota",
    ),
    Reason.RECOMMEND_ONLY: Sentence(
        "`spec.mode` is Recommend: the number stands in the status and nobody writes it to {kind} '{target}'.",
        "set `spec.mode` to Enforce when you trust it",
    ),
    # Why a signal is missing.
    Reason.NO_SERIES: Sentence(
        "Prometheus has no series of this workload: its pods are not scraped, or the profile is another engine's.",
        _SEE_SIGNALS,
    ),
    Reason.STALE: Sentence(
        "The newest sample is too old: scrapes fail, or come less often than the operator's --scrape-seconds says.",
        _SEE_SIGNALS,
    ),
    Reason.NOT_A_NUMBER: Sentence(
        "The engine reports NaN or infinity, which is no number to decide on.", "see the engine's own /metrics"
    ),
    Reason.AMBIGUOUS: Sentence(
        "There are series, but nothing in them says which workload they belong to.",
        "set the label `baseload_workload` when the pods are scraped: docs/how-to/existing-cluster.md, step 1",
    ),
    Reason.UNREACHABLE: Sentence(
        "Prometheus did not answer the operator.",
        "run `baseload doctor --prometheus-url URL` with the URL of the operator",
    ),
    Reason.PARTIAL: Sentence(
        "Prometheus said itself that its answer is not complete, and a sum over a part would be too low.",
        "see which store or shard behind the query endpoint is down",
    ),
    # Conditions and refusals.
    Reason.ACCEPTED: Sentence("The spec is valid and its workload exists."),
    Reason.SCALING: Sentence("The metrics can be read and the number is written."),
    Reason.METRICS_FRESH: Sentence("Every signal that is needed is there and fresh."),
    Reason.NOT_OBSERVED: Sentence("It was not looked at, because something else stops the scaling before."),
    Reason.NOT_LIMITED: Sentence("Nothing but demand decides the number."),
    Reason.NOT_PAUSED: Sentence("Nobody has paused it."),
    Reason.NO_CONFLICT: Sentence("Nobody else writes the replicas of {kind} '{target}'."),
    Reason.CAPACITY_AVAILABLE: Sentence("The free accelerators hold every replica that is wanted."),
    Reason.POOL_NOT_SELECTED: Sentence(
        "The labels of the pool are not those that `spec.poolSelector` asks for.",
        "`kubectl get cpool --show-labels`, then correct the labels or `spec.poolSelector`",
    ),
    Reason.BURST_NOT_ALLOWED: Sentence(
        "The pool is rented by use, and `spec.burst.policy` is Never, so only what is owned or reserved may serve.",
        "set `spec.burst.policy` to Auto, with `maxHourlyCost` as its limit, if rented capacity may serve",
    ),
    Reason.CAPACITY_UNKNOWN: Sentence(
        "Whether accelerators are free cannot be said: no CapacityPool describes nodes that take these pods, or the"
        " pods could not be listed.",
        "write a CapacityPool for those nodes: manifests/examples/capacitypool.yaml",
    ),
    Reason.NO_NODES: Sentence(
        "The pool has no node that is Ready, schedulable and carries its labels.",
        "`kubectl get nodes --show-labels`, then mend the nodes or `spec.nodeSelector` of the pool",
    ),
    Reason.INVALID_SPEC: Sentence(
        "The spec cannot be used as it stands, so nothing is scaled.", "change the field that the message names"
    ),
    Reason.TARGET_NOT_FOUND: Sentence(
        "`spec.targetRef` names {kind} '{target}', which is not there, so there is nothing to scale.",
        "create it in namespace '{namespace}' or change the name",
    ),
    Reason.TARGET_NOT_SCALABLE: Sentence(
        "A {kind} has no scale that could be written, so '{target}' is left alone.",
        "name the workload with the replicas",
    ),
    Reason.TARGET_KIND_UNKNOWN: Sentence(
        "The cluster has no kind {kind}, so there is no '{target}' to scale.",
        "install the kind, or correct `spec.targetRef`; it is taken up by itself",
    ),
    Reason.TARGET_FORBIDDEN: Sentence(
        "The operator may not scale a {kind}, so '{target}' is left alone.",
        "apply a ClusterRole with the rights that the message names, labelled as in manifests/targets/",
    ),
    Reason.PROFILE_NOT_FOUND: Sentence(
        "The operator does not know the metrics profile, so it cannot read this engine.",
        "set `spec.metricsProfileName` to one of those that the message names",
    ),
    Reason.INVALID_PROFILE: Sentence(
        "The metrics profile is in a ConfigMap of the operator's admin and cannot be used as it stands.",
        "have the admin correct the field that the message names",
    ),
    Reason.PRIORITY_CLASS_NOT_FOUND: Sentence(
        "`spec.priorityClassName` names no PriorityClass of this cluster, so its rank is not known.",
        "`kubectl get priorityclasses`, then correct the name or leave it out",
    ),
    Reason.FOREIGN_AUTOSCALER: Sentence(
        "Another autoscaler scales {kind} '{target}' as well, and two would fight: nothing is written.",
        "delete the HorizontalPodAutoscaler or ScaledObject that the message names, or this ModelServing",
    ),
    Reason.FOREIGN_WRITER: Sentence(
        "Somebody else kept writing the replicas of {kind} '{target}', so Baseload stopped writing them.", _SAY_GO_ON
    ),
    Reason.TARGET_CONFLICT: Sentence(
        "An older ModelServing scales {kind} '{target}' already, and the older one wins.",
        "delete one of the two or change `spec.targetRef`",
    ),
    Reason.WRITE_FAILED: Sentence(
        "The API server refused what the operator wanted to write.",
        "run `baseload doctor -n {namespace}`; mostly a right or an admission policy is the cause",
    ),
}
