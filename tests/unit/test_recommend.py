"""`baseload recommend`: the past read from Prometheus, judged, and told."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from past_prometheus import ALPHA_SECONDS, SLOPE_SECONDS, Remembered

from baseload.advice.judge import HAPPENED, Advice, advise
from baseload.advice.past import Asked, Past, PastReader, Workload
from baseload.cli import recommend as command
from baseload.cli.main import cli
from baseload.doctor.times import parse_duration
from baseload.errors import ConfigError, MetricsError
from baseload.observe.profiles import load_profiles
from baseload.plan.replica_model import fit
from baseload.sim.case import SimPool
from baseload.sim.policies.registry import make_policies

NOW = 1_800_000_000.0
CHAT = Workload("models", "Deployment", "chat")
OBJECTIVE = (0.05, 0.95)


async def read(source: Remembered, workload: Workload = CHAT, days: int = 3) -> Past:
    """The past of the workload in buckets of ten minutes."""
    end = int(NOW // 600)
    asked = Asked(end - days * 144, end, 600.0, 15.0)
    return await PastReader(source, workload, load_profiles()["vllm"], asked).read()


def judged(past: Past, policy: str = "hpa") -> Advice:
    """What a policy would have done in the past; the HPA is quick and as good where the policy is not the point."""
    return advise(past, OBJECTIVE, make_policies([policy]), pools=(SimPool(),), penalty=20.0)


@pytest.mark.parametrize("labelled", [True, False])
async def test_the_past_of_a_workload_is_read(labelled: bool) -> None:
    """Demand, replicas and the law of a replica, whether series carry the workload label or only pods' names."""
    source = Remembered(NOW, labelled=labelled)
    past = await read(source)
    ends = (np.arange(len(past.demand)) + NOW // 600 - len(past.demand) + 1) * 600
    known = np.isfinite(past.demand)
    assert known.mean() > 0.98
    np.testing.assert_allclose(past.demand[known], source.tokens(ends)[known], rtol=0.01)
    assert (np.nanmin(past.ready), np.nanmax(past.paid), past.replicas_from) == (6, 7, "kube-state-metrics")
    law = fit(past.model)
    assert law is not None
    assert law.alpha_seconds == pytest.approx(ALPHA_SECONDS, rel=0.05)
    assert law.slope_seconds == pytest.approx(SLOPE_SECONDS, rel=0.05)


async def test_pods_that_were_scraped_count_without_kube_state_metrics() -> None:
    """Each by the share of the bucket in which it was scraped."""
    past = await read(Remembered(NOW, cluster=False, pods=4))
    assert past.replicas_from == "the pods that were scraped"
    assert np.nanmin(past.ready) == np.nanmax(past.ready) == 4


async def test_a_workload_without_series_is_refused() -> None:
    """Nothing measured is no demand of zero."""
    with pytest.raises(MetricsError, match="no series of Deployment/other in namespace 'models'"):
        await read(Remembered(NOW), Workload("models", "Deployment", "other"))


async def test_what_happened_stands_beside_what_would_have() -> None:
    """A fleet that is always large pays for more replicas; both are judged on the same demand."""
    advice = judged(await read(Remembered(NOW, pods=6)), "baseload")
    scores = {score.policy: score for score in advice.scores}
    assert list(scores) == [HAPPENED, "baseload"]
    assert scores[HAPPENED].replica_hours == pytest.approx(3 * 24 * 7, rel=0.02)
    assert scores["baseload"].replica_hours < scores[HAPPENED].replica_hours
    assert 0 < scores["baseload"].bound == scores[HAPPENED].bound
    assert 200 < advice.tokens_per_second < 1000


async def test_a_short_retention_is_told() -> None:
    """Weekly patterns need two weeks; the note says what to change."""
    whole = judged(await read(Remembered(NOW, days=3.0), days=3))
    assert "ask for more with --since" in whole.hints[0]
    cut = judged(await read(Remembered(NOW, days=1.0), days=3))
    assert "Prometheus has 1 days of demand; weekly patterns need two weeks: raise its retention" in cut.hints[0]
    assert "no daily pattern" in cut.hints[1]


async def test_unknown_replicas_are_told_and_not_guessed() -> None:
    """Without any count of replicas only the replayed row stands there."""
    past = await read(Remembered(NOW))
    nothing = np.full_like(past.ready, np.nan)
    advice = judged(Past(past.workload, 600.0, past.demand, nothing, nothing, "", past.model))
    assert [score.policy for score in advice.scores] == ["hpa"]
    assert any("how many replicas ran is not known" in hint for hint in advice.hints)


async def test_without_a_law_nothing_is_promised() -> None:
    """A replica whose capacity nobody could see is not given one."""
    past = await read(Remembered(NOW))
    bare = Past(past.workload, 600.0, past.demand, past.ready, past.paid, "", type(past.model)())
    with pytest.raises(MetricsError, match="nobody knows what a replica carries"):
        judged(bare)


def test_the_answer_is_a_table_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPU hours of replicas with two accelerators each, notes below, the same in JSON."""

    async def answer(*_: object) -> tuple[Past, int]:
        return await read(Remembered(NOW)), 2

    monkeypatch.setattr(command, "_read", answer)
    out = tmp_path / "out.json"
    result = CliRunner().invoke(cli, ["recommend", "deployment/chat", "--prometheus", "http://p", "--json", str(out)])
    assert result.exit_code == 0, result.output
    assert "GPU h" in result.output
    assert HAPPENED in result.output
    assert "no prices: give your CapacityPools" in result.output
    content = json.loads(out.read_text())
    assert content["accelerators_of_a_replica"] == 2
    happened, planned = content["results"]
    assert happened["gpu_hours"] == pytest.approx(2 * happened["replica_hours"], rel=1e-3)
    assert planned["policy"] == "baseload"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["deployment/chat"], "--prometheus is missing"),
        (["deployment/chat", "--prometheus", "http://p", "--profile", "x"], "--profile 'x' is not known; use one of"),
        (["deployment/chat", "--since", "long"], "--since 'long' is no duration; give one such as 90s, 10m, 2h or 14d"),
    ],
)
def test_wrong_input_is_refused(arguments: list[str], message: str) -> None:
    """The message names option, value and remedy."""
    result = CliRunner().invoke(cli, ["recommend", *arguments], env={"BASELOAD_PROMETHEUS_URL": None})
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_durations_have_units() -> None:
    """Days are what one looks back."""
    assert [parse_duration("--since", text) for text in ("90s", "1.5h", "14d")] == [90.0, 5400.0, 1_209_600.0]
    with pytest.raises(ConfigError, match="is no duration"):
        parse_duration("--since", "0d")
