"""The demo: a lab, the operator in it, a demand curve with real requests, and what came of it."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from baseload.errors import LabError
from baseload.lab.build import PROMETHEUS_ADAPTER, ensure_tool
from baseload.lab.calibration import measured_capacity
from baseload.lab.cluster import Lab, LabOptions
from baseload.lab.demand import Demand, Trace, demand_of, read_demand_trace
from baseload.lab.demo_audit import answered, count, writes_of
from baseload.lab.demo_cluster import Operator, install, remove
from baseload.lab.demo_day import BUCKETS_PER_DAY, bucket_seconds, read_day, write_history
from baseload.lab.demo_hpa import Autoscaler
from baseload.lab.demo_load import DemoLoad
from baseload.lab.demo_objects import ACCELERATOR, MODEL, World, manifests
from baseload.lab.demo_record import Run
from baseload.lab.demo_watch import Cluster
from baseload.lab.hpa import HpaSettings
from baseload.lab.live import LiveView, Moment
from baseload.lab.load_results import VALID_LAG_SHARE, RequestResult
from baseload.lab.profiles import engine_profile
from baseload.lab.replica_capacity import capacity_rps, requests_in_flight
from baseload.lab.report import report_of, table_of
from baseload.lab.scenario import BASELOAD, HPA, SCRAPE_SECONDS, TICK_SECONDS, DemoOptions, EngineKind, nodes_for
from baseload.lab.schedule import Schedule, clairvoyant
from baseload.lab.timeline import write_timeline

Progress = Callable[[str], None]

_NAMES = {BASELOAD: "Baseload", HPA: "the HPA"}
_POLL_SECONDS = 0.25
_READY_SECONDS = 60.0
_FORGET_SECONDS = 30.0
_OVERTIME_SECONDS = 120.0


@dataclass(slots=True)
class _Stage:
    """What a run needs at hand."""

    options: DemoOptions
    lab: Lab
    world: World
    cluster: Cluster
    demand: Demand
    schedule: Schedule
    decider: Operator | Autoscaler | None
    """Who changes the number of replicas; None with a fixed one."""
    start_up_seconds: float
    load: DemoLoad | None
    """The load, if it began before anybody decided."""
    demand_history: list[float] = field(default_factory=list)
    ready_history: list[float] = field(default_factory=list)


def run_demo(
    options: DemoOptions, console: Console, show_progress: Callable[[], AbstractContextManager[Progress]]
) -> dict[str, Any]:
    """Run the demo, write report.json, timeline.png and timeline.html, and return the report.

    `show_progress` shows what happens until the first request is sent. ConfigError if an option or the trace is wrong;
    LabError if the operator ended, nothing was scaled or the run is invalid. The lab is stopped unless it ran before.
    """
    trace = read_demand_trace(options) if options.day is None else read_day(options)
    manifests()
    options.report.mkdir(parents=True, exist_ok=True)
    lab = Lab(options.lab)
    with ExitStack() as undo:
        if lab.running:
            undo.callback(remove, lab)
        else:
            undo.callback(lab.down)
        with show_progress() as progress:
            if options.policy == HPA:
                ensure_tool(PROMETHEUS_ADAPTER, progress)
            lab.up(None if lab.running else _lab_options(options), progress)
            stage = _set_up(options, lab, trace, undo, progress)
        run = _play(stage, console)
    return _publish(run, options.report, console)


def _lab_options(options: DemoOptions) -> LabOptions:
    return LabOptions(scrape_seconds=SCRAPE_SECONDS, hpa_sync_seconds=options.hpa_sync_seconds)


def _set_up(options: DemoOptions, lab: Lab, trace: Trace, undo: ExitStack, progress: Progress) -> _Stage:
    """Bring the cluster to the state a team would have before the first request."""
    demand = _emulated_demand(options, trace, progress) if options.engine is EngineKind.EMULATED else None
    world = World(
        nodes=nodes_for(options, trace.peak_replicas),
        replicas=options.static_replicas or _first_replicas(options, demand),
        engine=options.engine,
        speed=options.speed,
        objective=options.objective,
        stabilization_seconds=options.stabilization_seconds,
        start_up_seconds=options.start_up_seconds,
    )
    progress("installing Baseload's API and the workload")
    install(lab, world)
    cluster = Cluster(lab, with_serving=options.policy == BASELOAD)
    undo.callback(cluster.stop)
    start_up_seconds = _await_ready(cluster, world, progress)
    if demand is None:
        demand = _measured_demand(options, lab, trace, progress)
    load = None
    if demand.lead_in_seconds:
        progress("sending the first requests")
        load = _load_of(options, lab, demand)
        undo.callback(load.stop)
        cluster.started = load.await_start() + demand.lead_in_seconds
    decider: Operator | Autoscaler | None = None
    if options.static_replicas is None:
        progress(f"starting {_NAMES[options.policy]}")
        if options.policy == HPA:
            decider = _autoscaler(options, lab, world, trace, demand)
        else:
            decider = Operator(lab, options=_planner_options(options, lab, demand, cluster.started))
        undo.callback(decider.stop)
        decider.hand_over(world)
    schedule = clairvoyant(demand.loads, start_up_seconds)
    return _Stage(options, lab, world, cluster, demand, schedule, decider, start_up_seconds, load)


def _load_of(options: DemoOptions, lab: Lab, demand: Demand) -> DemoLoad:
    return DemoLoad(lab, "demo-load", demand.requests, options.objective, options.seed)


def _planner_options(options: DemoOptions, lab: Lab, demand: Demand, started: float) -> list[str]:
    """Return the operator's options for compressed days with their history; none where a day is not played."""
    if options.day is None:
        return []
    length_seconds = bucket_seconds(options.speed)
    arguments = ["--bucket-seconds", f"{length_seconds:.6f}", "--buckets-per-day", str(BUCKETS_PER_DAY)]
    arguments += ["--planner-seconds", str(TICK_SECONDS)]
    if not options.history:
        return arguments
    path = lab.directory / "demo-history.csv"
    write_history(path, demand, started - demand.lead_in_seconds, length_seconds)
    return [*arguments, "--history", str(path)]


def _autoscaler(options: DemoOptions, lab: Lab, world: World, trace: Trace, demand: Demand) -> Autoscaler:
    """Return the HPA, aimed at the load of one replica at the rate that all policies count on."""
    profile = engine_profile(ACCELERATOR, MODEL)
    held = requests_in_flight(profile, trace.sample_lengths(), demand.capacity_rps, seed=1)
    settings = HpaSettings(
        in_flight_per_replica=options.hpa_utilisation * held,
        max_replicas=world.accelerators,
        stabilization_seconds=options.stabilization_seconds,
        sync_seconds=lab.hpa_sync_seconds,
    )
    return Autoscaler(lab, settings)


def _emulated_demand(options: DemoOptions, trace: Trace, progress: Progress) -> Demand:
    """Return the demand, scaled by what one emulated replica serves inside the objective."""
    progress("finding what one replica can serve inside the objective")
    profile = engine_profile(ACCELERATOR, MODEL)
    return demand_of(trace, capacity_rps(profile, trace.sample_lengths(), options.objective, seed=1), options.seed)


def _measured_demand(options: DemoOptions, lab: Lab, trace: Trace, progress: Progress) -> Demand:
    """Return the demand, scaled by what one real server was measured to serve inside the objective."""
    progress("measuring what one llama.cpp server can do")
    capacity = measured_capacity(lab, trace, options.objective)
    # The operator must not take the flood for demand.
    time.sleep(_FORGET_SECONDS)
    return demand_of(trace, capacity, options.seed)


def _first_replicas(options: DemoOptions, demand: Demand | None) -> int:
    """Return the replicas before the first request: those the clairvoyant schedule has there, else one."""
    if demand is None:
        return 1
    start_up_seconds = options.start_up_seconds
    if start_up_seconds is None:
        start_up_seconds = engine_profile(ACCELERATOR, MODEL).start_up_seconds / options.speed
    return clairvoyant(demand.loads, start_up_seconds).paid[0]


def _await_ready(cluster: Cluster, world: World, progress: Progress) -> float:
    """Wait until the first replicas are ready; return the longest time from a pod's creation to ready."""
    deadline = time.monotonic() + _READY_SECONDS + (world.start_up_seconds or 300.0 / world.speed)
    while cluster.ready < world.replicas:
        if time.monotonic() > deadline:
            raise LabError(f"{cluster.ready} of {world.replicas} replicas became ready; see `baseload lab logs agent`")
        progress(f"waiting for the first replicas: {cluster.ready} of {world.replicas} ready")
        time.sleep(_POLL_SECONDS)
        cluster.poll()
    pods = cluster.pods()
    return max(pod.ready_seconds - pod.created_seconds for pod in pods if pod.ready_seconds is not None)


def _play(stage: _Stage, console: Console) -> Run:
    """Replay the demand and watch until every request has been answered."""
    options, cluster, demand = stage.options, stage.cluster, stage.demand
    load = stage.load or _load_of(options, stage.lab, demand)
    name = _NAMES.get(options.policy, options.policy)
    title = f"{name} on {demand.name}, one replica = {demand.capacity_rps:.2f} requests/s"
    try:
        cluster.started = load.await_start() + demand.lead_in_seconds
        deadline = cluster.started + len(demand.loads) + _OVERTIME_SECONDS
        with LiveView(console, options.objective, title) as view:
            while load.running:
                if time.time() > deadline:
                    raise LabError(f"the load generator did not end; see {load.log}")
                cluster.poll()
                if stage.decider is not None:
                    stage.decider.check()
                view.show(_moment(stage, load.snapshot()))
                time.sleep(_POLL_SECONDS)
        cluster.poll()
        return _collect(stage, load)
    finally:
        load.stop()


def _moment(stage: _Stage, snapshot: dict[str, Any]) -> Moment:
    cluster, loads = stage.cluster, stage.demand.loads
    seconds = min(max(time.time() - cluster.started, 0.0), float(len(loads)))
    load = loads[min(int(seconds), len(loads) - 1)]
    while len(stage.demand_history) < seconds:
        stage.demand_history.append(loads[min(len(stage.demand_history), len(loads) - 1)])
        stage.ready_history.append(cluster.ready)
    decision = cluster.last_decision
    words = f"{decision['reason']}: {decision['message']}" if decision else ""
    return Moment(
        seconds=seconds,
        total_seconds=len(loads),
        load=load,
        offered_rps=snapshot.get("offered_rps"),
        p95_milliseconds=snapshot.get("p95_ttft_ms"),
        attainment=snapshot.get("attainment"),
        failed=int(snapshot.get("failed", 0)),
        wanted=cluster.wanted,
        ready=cluster.ready,
        free_accelerators=stage.world.accelerators - cluster.bound,
        accelerators=stage.world.accelerators,
        decision=words,
        demand_history=stage.demand_history,
        ready_history=stage.ready_history,
    )


def _collect(stage: _Stage, load: DemoLoad) -> Run:
    """Put together what the load generator, the watches and the audit log recorded."""
    options, cluster, demand = stage.options, stage.cluster, stage.demand
    outcome = load.outcome()
    lag_ms, limit_ms = outcome.summary.loop_lag_ms_p99, VALID_LAG_SHARE * options.slo_milliseconds
    lag = f"the load generator's own lag is {lag_ms:.1f} ms (p99), more than {limit_ms:.0f} ms: close other programs"
    seconds, started = len(demand.loads), cluster.started
    decider = stage.decider
    written = writes_of(stage.lab.audit_log, decider.user, started, started + seconds) if decider else []
    scale_times = [write.time for write in written if write.resource.endswith("/scale")]
    breaches = decider.breaches() if decider else []
    return Run(
        trace=demand.name,
        policy=options.policy,
        engine=options.engine.value,
        seed=options.seed,
        speed=options.speed,
        objective=options.objective,
        capacity_rps=demand.capacity_rps,
        start_up_seconds=stage.start_up_seconds,
        loads=demand.loads,
        schedule=stage.schedule,
        requests=_counted(outcome.requests, demand.lead_in_seconds),
        loop_lag_ms_p99=lag_ms,
        pods=cluster.pods(),
        wanted=cluster.steps(seconds),
        decisions=cluster.decisions(seconds),
        writes=count(written, started),
        breach_to_write_seconds=answered([pair for pair in breaches if pair[0] >= started], scale_times),
        faults=() if outcome.summary.valid else (lag,),
        hpa=decider.settings if isinstance(decider, Autoscaler) else None,
    )


def _counted(requests: Sequence[RequestResult], lead_in_seconds: int) -> tuple[RequestResult, ...]:
    """Leave out what was sent before second 0, from which on times are counted."""
    return tuple(
        replace(
            request,
            scheduled_seconds=request.scheduled_seconds - lead_in_seconds,
            sent_seconds=None if request.sent_seconds is None else request.sent_seconds - lead_in_seconds,
        )
        for request in requests
        if request.scheduled_seconds >= lead_in_seconds
    )


def _publish(run: Run, directory: Path, console: Console) -> dict[str, Any]:
    """Write the report and the pictures, print the table, and judge the run."""
    report = report_of(run)
    path = directory / "report.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    console.print(table_of(report))
    picture, page = write_timeline(run, directory)
    console.print(f"{path}  {picture}  {page}", highlight=False, soft_wrap=True)
    if run.faults:
        raise LabError(f"the run is invalid: {'; '.join(run.faults)}")
    short = report["attainment"] is None or report["attainment"] < run.objective.attainment
    if run.policy == BASELOAD and not run.writes.scale and short:
        raise LabError("the operator scaled nothing: is there enough demand, or is --duration too short?")
    return report
