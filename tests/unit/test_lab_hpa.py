"""The HPA of a demo and what leads to its metric: the manifests, and how it is tuned."""

from pathlib import Path

import pytest

from baseload.lab.certificates import create_pki
from baseload.lab.demo_record import Objective
from baseload.lab.hpa import HpaSettings, hpa, sees_its_metric
from baseload.lab.profiles import engine_profile
from baseload.lab.prometheus_adapter import IN_FLIGHT, adapter_config, api_objects
from baseload.lab.replica_capacity import capacity_rps, requests_in_flight
from baseload.lab.scenario import TICK_SECONDS, DemoOptions

SETTINGS = HpaSettings(in_flight_per_replica=22.6, max_replicas=12, stabilization_seconds=24, sync_seconds=2.0)


def test_the_hpa_goes_up_fast_and_holds_before_it_goes_down() -> None:
    """Its target is an average per pod in thousandths, up has no window, and what is larger of both policies counts."""
    spec = hpa("chat", "demo", {"app": "chat"}, SETTINGS)["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    (metric,) = spec["metrics"]
    assert metric["pods"]["metric"]["name"] == IN_FLIGHT
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "22600m"}
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert (up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"]) == (0, 24)
    assert {policy["type"]: policy["value"] for policy in up["policies"]} == {"Percent": 100, "Pods": 4}


def test_running_and_waiting_requests_are_one_metric() -> None:
    """The adapter sums both gauges of the pods asked for, under the name that the HPA uses."""
    (rule,) = adapter_config()["rules"]
    assert rule["name"]["as"] == IN_FLIGHT
    assert rule["metricsQuery"] == (
        "sum(vllm:num_requests_running{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
        " + sum(vllm:num_requests_waiting{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
    )


def test_the_api_leads_to_the_process(tmp_path: Path) -> None:
    """APIService, Service and EndpointSlice name each other, and the port has the same name in both."""
    _, service, slices, api = api_objects(create_pki(tmp_path), "10.0.0.1")
    assert api["spec"]["service"] == {key: service["metadata"][key] for key in ("name", "namespace")}
    assert slices["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
    assert slices["ports"][0]["name"] == service["spec"]["ports"][0]["name"]
    assert slices["endpoints"][0]["addresses"] == ["10.0.0.1"]


@pytest.mark.parametrize(("speed", "seconds"), [(1.0, 15.0), (0.5, 15.0), (5.0, 3.0), (10.0, TICK_SECONDS)])
def test_the_controller_looks_as_often_as_the_speed_asks_for(speed: float, seconds: float) -> None:
    """15 s of a cluster's time, but never more often than Baseload's own tick."""
    assert DemoOptions(speed=speed, policy="hpa").hpa_sync_seconds == seconds


def test_a_replica_at_its_limit_holds_what_littles_law_says() -> None:
    """More at a higher rate, and the time that a request takes follows from both."""
    profile, lengths = engine_profile("L40S", "meta-llama/Llama-3.1-8B"), [(1000, 200)]
    most = capacity_rps(profile, lengths, Objective(1.0, 0.05, 0.95), seed=1)
    half, full = (requests_in_flight(profile, lengths, rate, seed=1) for rate in (most / 2, most))
    assert 0 < half < full / 2
    assert 200 * profile.alpha_seconds < full / most < 200 * 0.06


def test_an_hpa_without_a_metric_does_not_count_as_ready() -> None:
    """Only ScalingActive that is true says that the controller has read it."""
    assert not sees_its_metric({})
    assert not sees_its_metric({"status": {"conditions": [{"type": "ScalingActive", "status": "False"}]}})
    assert sees_its_metric({"status": {"conditions": [{"type": "ScalingActive", "status": "True"}]}})
