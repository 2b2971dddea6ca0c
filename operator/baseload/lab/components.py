"""What each process of the control plane is started with, and how to know that it is up."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from baseload.lab.certificates import FRONT_PROXY_USER, Pki
from baseload.lab.kubeconfig import write_certificate_kubeconfig
from baseload.lab.network import Network
from baseload.lab.prometheus import prometheus_config
from baseload.lab.serving_images import SERVING_IMAGES

_STAGES = Path(__file__).parent / "stages"
_SERVICE_CIDR = "10.96.0.0/16"
_KUBECONFIG_CLIENTS = ("admin", "controller-manager", "scheduler", "kwok", "agent", "prometheus-adapter")
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
# Large enough never to rotate while tests and benches count its lines.
_AUDIT_LOG_MEGABYTES = 100_000


@dataclass(frozen=True, slots=True)
class Component:
    """A process of the lab: its arguments and the endpoints that answer 200 when it is up."""

    name: str
    arguments: tuple[str, ...]
    ready_urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one lab, and the addresses its components are told."""

    directory: Path
    network: Network
    scrape_seconds: int
    api_server_args: tuple[str, ...]
    hpa_sync_seconds: float

    @property
    def pki(self) -> Pki:
        """Keys and certificates."""
        return Pki(self.directory / "pki")

    @property
    def api_url(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self.network.ports.api_server}"

    @property
    def prometheus_url(self) -> str:
        """Where Prometheus listens."""
        return f"http://127.0.0.1:{self.network.ports.prometheus}"

    @property
    def etcd_url(self) -> str:
        """Where etcd listens."""
        return f"https://127.0.0.1:{self.network.ports.etcd}"

    @property
    def audit_log(self) -> Path:
        """One JSON line for each stage of each request."""
        return self.directory / "audit.log"

    def kubeconfig(self, client: str) -> Path:
        """Return the kubeconfig of a client certificate."""
        return self.directory / "kubeconfigs" / f"{client}.yaml"


# The API server first; the others end soon when they do not find it.
FIRST: Final = ("etcd", "kube-apiserver", "prometheus")


def write_configuration(layout: Layout) -> None:
    """Write kubeconfigs, audit policy, KWOK stages and Prometheus configuration."""
    for client in _KUBECONFIG_CLIENTS:
        write_certificate_kubeconfig(layout.kubeconfig(client), api_url=layout.api_url, pki=layout.pki, client=client)
    (layout.directory / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
    (layout.directory / "stages.yaml").write_text(kwok_stages())
    prometheus = prometheus_config(
        api_url=layout.api_url,
        pki=layout.pki,
        scrape_seconds=layout.scrape_seconds,
        operator_port=layout.network.ports.operator,
    )
    (layout.directory / "prometheus.yaml").write_text(yaml.safe_dump(prometheus, sort_keys=False))


def kwok_stages() -> str:
    """Return KWOK's stages as YAML documents: how nodes and pods change without kubelets."""
    documents = [
        path.read_text().replace("@SERVING_IMAGES@", SERVING_IMAGES) for path in sorted(_STAGES.glob("*.yaml"))
    ]
    return "---\n".join(documents)


def components(layout: Layout, commands: Mapping[str, Path]) -> tuple[Component, ...]:
    """Return the lab's processes in the order in which they start."""
    return (
        _etcd(layout, commands["server"]),
        _api_server(layout, commands["kube-apiserver"]),
        _prometheus(layout, commands["prometheus"]),
        _controller_manager(layout, commands["kube-controller-manager"]),
        _scheduler(layout, commands["kube-scheduler"]),
        _kwok(layout, commands["kwok"]),
        _agent(layout),
    )


def _etcd(layout: Layout, command: Path) -> Component:
    pki = layout.pki
    peer_url = f"http://127.0.0.1:{layout.network.ports.etcd_peer}"
    arguments = (
        str(command),
        "--name=lab",
        f"--data-dir={layout.directory / 'etcd'}",
        f"--listen-client-urls={layout.etcd_url}",
        f"--advertise-client-urls={layout.etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=lab={peer_url}",
        f"--cert-file={pki.certificate('server')}",
        f"--key-file={pki.key('server')}",
        f"--trusted-ca-file={pki.authority}",
        "--client-cert-auth",
        # A lab's data need not survive a power cut, and disks of test machines are slow.
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    return Component("etcd", arguments)


def _api_server(layout: Layout, command: Path) -> Component:
    pki = layout.pki
    arguments = (
        str(command),
        f"--etcd-servers={layout.etcd_url}",
        f"--etcd-cafile={pki.authority}",
        f"--etcd-certfile={pki.certificate('api-server')}",
        f"--etcd-keyfile={pki.key('api-server')}",
        "--bind-address=127.0.0.1",
        f"--advertise-address={layout.network.node_address}",
        f"--secure-port={layout.network.ports.api_server}",
        f"--tls-cert-file={pki.certificate('server')}",
        f"--tls-private-key-file={pki.key('server')}",
        f"--client-ca-file={pki.authority}",
        f"--cert-dir={layout.directory / 'pki'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.service_account_public_key}",
        f"--service-account-signing-key-file={pki.service_account_key}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={_SERVICE_CIDR}",
        "--endpoint-reconciler-type=none",
        *_aggregation(pki),
        f"--audit-policy-file={layout.directory / 'audit-policy.yaml'}",
        f"--audit-log-path={layout.audit_log}",
        f"--audit-log-maxsize={_AUDIT_LOG_MEGABYTES}",
        "--audit-log-mode=blocking",
        *layout.api_server_args,
    )
    return Component("kube-apiserver", arguments, (f"{layout.api_url}/readyz",))


def _aggregation(pki: Pki) -> tuple[str, ...]:
    """Flags with which other API servers can stand behind this one, as metrics adapters do.

    They are reached by their endpoints' addresses, for no kube-proxy makes a Service's address work in a lab.
    """
    return (
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={pki.authority}",
        f"--requestheader-allowed-names={FRONT_PROXY_USER}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki.certificate('front-proxy')}",
        f"--proxy-client-key-file={pki.key('front-proxy')}",
    )


def _controller_manager(layout: Layout, command: Path) -> Component:
    pki = layout.pki
    port = layout.network.ports.controller_manager
    arguments = (
        str(command),
        f"--kubeconfig={layout.kubeconfig('controller-manager')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki.certificate('server')}",
        f"--tls-private-key-file={pki.key('server')}",
        f"--service-account-private-key-file={pki.service_account_key}",
        f"--root-ca-file={pki.authority}",
        "--use-service-account-credentials=true",
        f"--horizontal-pod-autoscaler-sync-period={layout.hpa_sync_seconds:g}s",
        "--leader-elect=false",
        *_CLIENT_RATES,
    )
    # The first pod of a namespace is refused until its default ServiceAccount exists.
    service_account = f"{layout.api_url}/api/v1/namespaces/default/serviceaccounts/default"
    return Component("kube-controller-manager", arguments, (f"https://127.0.0.1:{port}/healthz", service_account))


def _scheduler(layout: Layout, command: Path) -> Component:
    pki = layout.pki
    port = layout.network.ports.scheduler
    arguments = (
        str(command),
        f"--kubeconfig={layout.kubeconfig('scheduler')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki.certificate('server')}",
        f"--tls-private-key-file={pki.key('server')}",
        "--leader-elect=false",
        *_CLIENT_RATES,
    )
    return Component("kube-scheduler", arguments, (f"https://127.0.0.1:{port}/healthz",))


# Their defaults (20 and 50 requests a second) would make thousands of test objects a matter of minutes.
_CLIENT_RATES = ("--kube-api-qps=300", "--kube-api-burst=600")


def _kwok(layout: Layout, command: Path) -> Component:
    address = f"127.0.0.1:{layout.network.ports.kwok}"
    arguments = (
        str(command),
        f"--kubeconfig={layout.kubeconfig('kwok')}",
        f"--config={layout.directory / 'stages.yaml'}",
        "--manage-all-nodes=true",
        f"--cidr={layout.network.pod_cidr}",
        f"--node-ip={layout.network.node_address}",
        "--node-lease-duration-seconds=40",
        "--v=WARN",
        f"--server-address={address}",
    )
    return Component("kwok", arguments, (f"http://{address}/healthz",))


def _prometheus(layout: Layout, command: Path) -> Component:
    arguments = (
        str(command),
        f"--config.file={layout.directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={layout.directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{layout.network.ports.prometheus}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    )
    return Component("prometheus", arguments, (f"{layout.prometheus_url}/-/ready",))


def _agent(layout: Layout) -> Component:
    arguments = (sys.executable, "-m", "baseload.lab.agent", f"--kubeconfig={layout.kubeconfig('agent')}")
    return Component("agent", arguments)


def component_names() -> tuple[str, ...]:
    """Return the names of `components`, in the same order."""
    return (
        "etcd",
        "kube-apiserver",
        "prometheus",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
        "agent",
    )
