"""kopf's registry, credentials, health, logging and settings of the operator process."""

import json
import logging
from typing import Any

import kopf
import pytest
from click.testing import CliRunner

from baseload.cli.main import cli
from baseload.control import handlers
from baseload.control.health import Health
from baseload.control.log import JsonFormatter, TextFormatter
from baseload.control.login import Login
from baseload.observe.catalog import Catalog
from baseload.plan.snapshot import ServingKey


async def nothing(**_: object) -> Any:
    """Do nothing."""


def registry(catalog: Catalog, health: Health, relisted: list[int]) -> kopf.OperatorRegistry:
    """The operator's registry with edges that do nothing."""
    return handlers.build_registry(
        catalog, nothing, health, start=nothing, stop=nothing, relisted=lambda: relisted.append(1)
    )


def raw_serving(uid: str = "u", generation: int = 1, **metadata: object) -> dict[str, Any]:
    """A stored ModelServing."""
    return {
        "metadata": {
            "namespace": "team",
            "name": "chat",
            "uid": uid,
            "resourceVersion": "1",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **metadata,
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"},
            "objective": {"timeToFirstToken": {"targetMilliseconds": 800}},
            "replicas": {"min": 1, "max": 4},
        },
    }


def test_registry_has_no_handler_that_writes_or_hides_state() -> None:
    """Only startup, cleanup, login, probe and event: no timers, daemons, indices or change handlers."""
    built = registry(Catalog(lambda _: None), Health(5.0), [])
    activities = {h.activity.value for h in built._activities._handlers if h.activity}
    assert activities == {"startup", "cleanup", "authentication", "probe"}
    assert {h.selector.any_name for h in built._watching._handlers} == {"modelservings", "capacitypools"}
    for forbidden in (built._indexing, built._spawning, built._changing, built._webhooks):
        assert list(forbidden._handlers) == []


def test_kopf_stores_posts_and_scans_nothing() -> None:
    """Nothing of kopf's is written to the cluster, and no outage ends it."""
    settings = kopf.OperatorSettings()
    handlers.configure(settings)
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert settings.watching.initial_streaming
    assert isinstance(settings.persistence.diffbase_storage, handlers.NoDiffBase)
    backoffs = iter(settings.networking.error_backoffs)  # type: ignore[arg-type]
    assert [next(backoffs) for _ in range(100)][-1] == 10.0


def test_events_only_mark_what_changed() -> None:
    """A listing tells of itself; a status echo marks nothing; a deletion of an older object of the name is ignored."""
    dirty: list[ServingKey] = []
    relisted: list[int] = []
    catalog = Catalog(dirty.append)

    def event(kind: str | None, raw: dict[str, Any]) -> None:
        handlers.take_serving(catalog, {"type": kind, "object": raw}, lambda: relisted.append(1))  # type: ignore[arg-type, typeddict-item]

    event(None, raw_serving())
    assert relisted == [1]
    seen = len(dirty)
    assert seen
    event("MODIFIED", raw_serving(resourceVersion="2"))
    assert len(dirty) == seen
    event("MODIFIED", raw_serving(annotations={"baseload.dev/paused": "true"}))
    assert len(dirty) > seen
    event("DELETED", raw_serving(uid="older"))
    assert catalog.entries
    event("DELETED", raw_serving())
    assert not catalog.entries


class FakeConnection:
    """A connection whose token changes after some reloads."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.configuration = self
        self.host, self.ssl_ca_cert, self.verify_ssl = "https://server", None, True
        self.cert_file = self.key_file = None

    async def get_api_key_with_prefix(self, _: str) -> str:
        """The token now."""
        return f"Bearer {self.tokens[0]}"

    async def reload(self) -> None:
        """Read the next token."""
        if len(self.tokens) > 1:
            self.tokens.pop(0)


async def test_refused_token_is_not_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refusal the login waits for another token, as long as the file still holds the refused one."""
    monkeypatch.setattr("baseload.control.login.RELOAD_SPACING_SECONDS", 0.01)
    login = Login(FakeConnection(["old", "old", "old", "new"]), patience_seconds=5.0)  # type: ignore[arg-type]
    assert (await login()).token == "old"
    assert (await login()).token == "new"


async def test_stale_token_file_never_ends_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """When patience ends the same token is given again, but so that kopf does not take it for the refused one."""
    monkeypatch.setattr("baseload.control.login.RELOAD_SPACING_SECONDS", 0.01)
    login = Login(FakeConnection(["stale"]), patience_seconds=0.05)  # type: ignore[arg-type]
    given = [await login() for _ in range(4)]
    assert [info.token for info in given] == ["stale"] * 4
    assert len(set(given)) == 4


def test_health_judges_progress_and_lag() -> None:
    """Before the first progress nothing is late; then none for too long or a stuck loop is an illness."""
    now = [0.0]
    health = Health(5.0, lambda: now[0])
    now[0] = 1000.0
    assert health.illness() is None
    health.progress()
    now[0] = 1016.0
    assert "no progress" in (health.illness() or "")
    health.progress()
    health.lag_seconds = 6.0
    assert "lag" in (health.illness() or "")


def test_log_lines_have_a_constant_message_and_fields() -> None:
    """Machines get JSON, people get text; both carry the fields."""
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "scaled", "replicas": 3, "created": 0.0})
    assert json.loads(JsonFormatter().format(record))["replicas"] == 3
    assert TextFormatter().format(record).endswith("scaled replicas=3")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--prometheus-url"),
        (["--prometheus-url", "http://p", "--tick-seconds", "0"], "0.5<=x<=300.0"),
        (["--prometheus-url", "http://p", "--kubeconfig", "/does/not/exist"], "does not exist"),
        (["--prometheus-url", "http://p", "--log-format", "xml"], "xml"),
    ],
)
def test_wrong_input_ends_with_two(arguments: list[str], said: str) -> None:
    """Wrong input is refused in words, with exit code 2."""
    answer = CliRunner().invoke(cli, ["operator", *arguments])
    assert answer.exit_code == 2
    assert said in answer.output


def test_settings_come_from_the_environment() -> None:
    """Every option has a BASELOAD_ variable."""
    answer = CliRunner().invoke(
        cli, ["operator"], env={"BASELOAD_PROMETHEUS_URL": "http://p", "BASELOAD_METRICS_PORT": "0"}
    )
    assert answer.exit_code == 2
    assert "BASELOAD_METRICS_PORT" in answer.output or "--metrics-port" in answer.output
