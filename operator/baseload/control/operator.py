"""One operator process: everything made, wired, started and stopped here."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kopf
from aiohttp import web

from baseload.act.actuator import Actuator
from baseload.act.events import EventRecorder
from baseload.act.fence import Fence
from baseload.act.lease import LeaseStore
from baseload.act.pool_status import PoolPublisher
from baseload.act.publisher import StatusPublisher
from baseload.act.victims import VictimMarker
from baseload.act.writer import KubeWriter
from baseload.control.controller import Controller, Hands, Rhythm
from baseload.control.elector import Elector
from baseload.control.garbage import collect_rarely, tidy_up
from baseload.control.handlers import build_registry
from baseload.control.health import Health
from baseload.control.login import Login
from baseload.control.loop import TimedSelector
from baseload.control.metrics import OperatorMetrics, serve_metrics
from baseload.control.planning import Planner, PlannerSettings
from baseload.control.servings import Servings
from baseload.control.settings import Settings
from baseload.errors import BaseloadError, ConfigError, NotFoundError, UnavailableError
from baseload.observe.cluster import Cluster
from baseload.observe.connection import KubeConnection
from baseload.observe.history import HistoryReader
from baseload.observe.history_file import read_history
from baseload.observe.profile_book import ProfileBook
from baseload.observe.profiles import load_profiles
from baseload.observe.prometheus import PAST_TIMEOUT_SECONDS, PrometheusSource
from baseload.observe.prometheus_auth import Credentials
from baseload.observe.resync import POOLS_PATH, SERVINGS_PATH
from baseload.observe.signals import SignalReader
from baseload.observe.watch import has_watch_list
from baseload.plan.forecast.demand_block import Grid
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

FIRST_CONTACT_SECONDS = 60.0
STOP_SECONDS = 12.0
LEADERSHIP_LOST = 3
"""The exit code of a process that led and found another leader."""

POD_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_NAMESPACE = "baseload-system"


async def run_operator(settings: Settings, selector: TimedSelector | None = None) -> None:
    """Run until SIGTERM or SIGINT; raises BaseloadError when it cannot start or has to end.

    `selector` is that of the running event loop, whose stalls become a metric.
    """
    collect_rarely()
    credentials = Credentials(
        token_file=settings.prometheus_token_file,
        basic_file=settings.prometheus_basic_auth_file,
        ca_file=settings.prometheus_ca_file,
        certificate_file=settings.prometheus_certificate_file,
        key_file=settings.prometheus_key_file,
    )
    source = PrometheusSource(settings.prometheus_url, credentials)
    # Apart from the other: what reads days must not keep a tick waiting.
    past = PrometheusSource(settings.prometheus_url, credentials, timeout_seconds=PAST_TIMEOUT_SECONDS)
    given = None if settings.history is None else read_history(settings.history, settings.bucket_seconds)
    connection = await KubeConnection.open(settings.kubeconfig)
    try:
        await check_resources(connection)
        profiles = ProfileBook(load_profiles())
        reader = SignalReader(source, profiles, scrape_seconds=settings.scrape_seconds)
        history = HistoryReader(
            past, profiles, scrape_seconds=settings.scrape_seconds, bucket_seconds=settings.bucket_seconds
        )
        planned = PlannerSettings(
            Grid(settings.bucket_seconds, settings.buckets_per_day), settings.planner_seconds, given
        )
        await Operator(settings, connection, Readers(reader, history, profiles), planned, selector).run()
    finally:
        await connection.close()
        source.close()
        past.close()


async def check_resources(connection: KubeConnection, patience_seconds: float = FIRST_CONTACT_SECONDS) -> None:
    """Wait for the API server for a while, then insist on our two kinds; raises BaseloadError in words."""
    deadline = time.monotonic() + patience_seconds
    for path in (SERVINGS_PATH, POOLS_PATH):
        while True:
            try:
                await connection.get(path, {"limit": "1"})
                break
            except NotFoundError as error:
                kind = path.rsplit("/", 1)[-1]
                message = f"the API server does not know '{kind}.baseload.dev'; install it: kubectl apply -f crds/"
                raise BaseloadError(message) from error
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise
                logger.warning("API server not reached", extra={"error": str(error)})
                await asyncio.sleep(1.0)


def end_at_once(why: str) -> None:
    """End the process without another word to the API server: another operator leads."""
    logger.critical("leadership lost", extra={"why": why, "exit_code": LEADERSHIP_LOST})
    os._exit(LEADERSHIP_LOST)


def own_namespace(settings: Settings) -> str:
    """The namespace that the operator runs in, or would run in if it did not run outside of the cluster."""
    in_pod = settings.kubeconfig is None and POD_NAMESPACE_FILE.exists()
    return POD_NAMESPACE_FILE.read_text().strip() if in_pod else DEFAULT_NAMESPACE


def election_of(
    settings: Settings, connection: KubeConnection, ready: Callable[[], bool]
) -> tuple[Fence, Elector | None]:
    """The fence of this process and who opens it; None when it leads alone."""
    if settings.lease_times is None:
        return Fence.always_open(), None
    fence = Fence()
    namespace = settings.lease_namespace or own_namespace(settings)
    store = LeaseStore(connection.api_client, namespace, settings.lease_name, connection.reload)
    return fence, Elector(store, fence, settings.lease_times, lost=end_at_once, ready=ready)


@dataclass(frozen=True, slots=True)
class Readers:
    """What is read of Prometheus, the signals of now and demand of the past, and by which profiles."""

    signals: SignalReader
    history: HistoryReader
    profiles: ProfileBook


class Operator:
    """The wiring of one operator process."""

    def __init__(
        self,
        settings: Settings,
        connection: KubeConnection,
        readers: Readers,
        planned: PlannerSettings,
        selector: TimedSelector | None = None,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._metrics = OperatorMetrics()
        if selector is not None:
            selector.stalled = self._metrics.loop_stalls.observe
        self._health = Health(settings.tick_seconds)
        self._cluster = Cluster(connection, self._mark_dirty)
        fence, self._elector = election_of(settings, connection, lambda: self._cluster.ready)
        self._metrics.leader.set_function(lambda: float(fence.is_open))
        writer = KubeWriter(connection.api_client, self._count_write, connection.reload, fence)
        publisher, events = StatusPublisher(writer), EventRecorder(writer, time.time)
        actuator = Actuator(writer, publisher, VictimMarker(writer) if settings.choose_victims else None)
        hands = Hands(actuator, publisher, PoolPublisher(writer), events)
        self._servings = Servings(self._cluster, readers.profiles)
        self._leading = _set_event() if self._elector is None else self._elector.leading
        self._planner = self._planner_of(readers, planned)
        self._controller = self._controller_of(readers.signals, hands)
        self._background = (publisher.run, actuator.run, events.run, *self._watchers(readers))
        self._login = Login(connection)
        self._tasks: list[asyncio.Task[None]] = []
        self._ticker: asyncio.Task[None] | None = None
        self._election: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None

    def _watchers(self, readers: Readers) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """What runs in the background beside the writers."""
        return (
            self._cluster.run,
            self._planner.run,
            tidy_up,
            readers.profiles.watch(self._connection, own_namespace(self._settings)).run,
            lambda: self._health.watch_lag(self._metrics.loop_lag.set),
        )

    def _planner_of(self, readers: Readers, planned: PlannerSettings) -> Planner:
        return Planner(
            self._servings,
            readers.history,
            planned,
            economics=self._settings.economics,
            lag_seconds=readers.signals.signal_lag_seconds,
            leading=self._leading,
            metrics=self._metrics.planner,
        )

    def _controller_of(self, reader: SignalReader, hands: Hands) -> Controller:
        tick_seconds = self._settings.tick_seconds
        return Controller(
            self._cluster,
            servings=self._servings,
            signals=reader,
            demand=self._planner,
            hands=hands,
            metrics=self._metrics,
            health=self._health,
            rhythm=Rhythm(tick_seconds, reader.signal_lag_seconds, reader.windows.learning_seconds),
            economics=self._settings.economics,
            leading=self._leading,
        )

    async def run(self) -> None:
        """Run under kopf until a signal comes or a part of ours ends."""
        registry = build_registry(
            self._cluster.catalog,
            self._login,
            self._health,
            start=self._start,
            stop=self._end,
            relisted=self._cluster.relisted.set,
            streams_lists=await has_watch_list(self._connection, SERVINGS_PATH),
        )
        settings = self._settings
        runner = await self._serve_metrics()
        liveness = f"http://{settings.listen_address}:{settings.liveness_port}/healthz"
        try:
            await kopf.operator(
                registry=registry,
                standalone=True,
                clusterwide=True,
                stop_flag=self._stop,
                liveness_endpoint=liveness,
            )
        except Exception as error:
            raise BaseloadError(f"the operator had to end: {error}") from error
        finally:
            await runner.cleanup()
        if self._failure is not None:
            raise BaseloadError(f"the operator had to end: {self._failure!r}") from self._failure

    async def _serve_metrics(self) -> web.AppRunner:
        """Take both ports, or say which one is taken: kopf opens the probe's only when all else runs."""
        settings = self._settings
        port, option = settings.liveness_port, "--liveness-port"
        try:
            with socket.create_server((settings.listen_address, port)):
                pass
            port, option = settings.metrics_port, "--metrics-port"
            return await serve_metrics(self._metrics, lambda: self._cluster.ready, settings.listen_address, port)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"{option} '{port}' cannot be used ({why}); name a free port") from error

    def _mark_dirty(self, key: ServingKey) -> None:
        self._controller.mark_dirty(key)

    def _count_write(self, kind: str, outcome: str) -> None:
        self._metrics.count_write(kind, outcome)
        self._health.progress()

    async def _start(self) -> None:
        """Called by kopf before it watches anything."""
        self._tasks = [asyncio.create_task(part()) for part in self._background]
        self._ticker = asyncio.create_task(self._controller.run())
        if self._elector is not None:
            self._election = asyncio.create_task(self._elector.run())
            self._election.add_done_callback(self._ended)
        for task in (*self._tasks, self._ticker):
            task.add_done_callback(self._ended)
        logger.info("operator started", extra={"tick_seconds": self._settings.tick_seconds})

    async def _end(self) -> None:
        """Called by kopf at its end: the writes in progress are finished, all else is cancelled."""
        self._controller.stop()
        if self._ticker is not None:
            await asyncio.wait([self._ticker], timeout=STOP_SECONDS)
            self._ticker.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._release()
        logger.info("operator stopped")
        # kopf's waiter for this flag would hold its end up for five seconds.
        self._stop.set()

    async def _release(self) -> None:
        """Give up the lease, last of all: until here it was renewed for the writes in progress."""
        if self._elector is None or self._election is None:
            return
        self._election.cancel()
        await asyncio.gather(self._election, return_exceptions=True)
        await self._elector.release()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A part that ends by itself ends the process: half an operator is worse than a restarted one."""
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._stop.set()


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
