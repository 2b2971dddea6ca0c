"""What an admin sets for the operator process."""

from dataclasses import dataclass, field
from pathlib import Path

from baseload.control.elector import LeaseTimes
from baseload.plan.pool_offer import NO_SETTINGS, Economics

LEASE_NAME = "baseload-operator"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one operator process; intervals in seconds.

    `kubeconfig` None means the pod's service account. `scrape_seconds` is how often the Prometheus at
    `prometheus_url` scrapes the replicas: windows and staleness follow from it. Without `lease_times` it leads
    alone, without a Lease; `lease_namespace` None means the pod's, or `baseload-system` outside a pod.
    `choose_victims` is whether the least busy replicas go first, which needs the right to patch pods. `economics` is
    the currency and what missing capacity costs. Demand is planned in buckets of `bucket_seconds`, `buckets_per_day` of
    which are a day, anew each `planner_seconds`; `history` is a file with demand of the past.
    """

    prometheus_url: str
    kubeconfig: Path | None = None
    prometheus_token_file: Path | None = None
    prometheus_basic_auth_file: Path | None = None
    prometheus_ca_file: Path | None = None
    prometheus_certificate_file: Path | None = None
    prometheus_key_file: Path | None = None
    tick_seconds: float = 5.0
    scrape_seconds: float = 15.0
    metrics_port: int = 8080
    liveness_port: int = 8081
    listen_address: str = "0.0.0.0"  # noqa: S104 - kubelet and Prometheus come from other addresses
    lease_times: LeaseTimes | None = field(default_factory=LeaseTimes)
    lease_name: str = LEASE_NAME
    lease_namespace: str | None = None
    choose_victims: bool = True
    economics: Economics = NO_SETTINGS
    bucket_seconds: float = 600.0
    buckets_per_day: int = 144
    planner_seconds: float = 60.0
    history: Path | None = None
