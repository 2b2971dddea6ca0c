"""prometheus-adapter in the lab: what Prometheus knows of pods, as the custom metrics that an HPA reads.

It is an API server behind the lab's own: a Service without a selector and an EndpointSlice lead to its process, and
an APIService puts it in charge of custom.metrics.k8s.io.
"""

import base64
import subprocess
import time
from typing import Any, Final

import yaml

from baseload.errors import LabError
from baseload.lab.build import PROMETHEUS_ADAPTER
from baseload.lab.certificates import AGGREGATED_SERVICE, Pki
from baseload.lab.cluster import Lab

PROCESS: Final = "prometheus-adapter"
IN_FLIGHT: Final = "vllm_requests_in_flight"
"""The metric of a pod that a replica's load is: requests that run or wait in its engine."""

_API: Final = "v1beta1.custom.metrics.k8s.io"
_PORT: Final = 6444
_SERVED_SECONDS: Final = 30.0
# It only finds out with it which series there are; each value is asked for when an HPA asks.
_RELIST: Final = "5s"


def available() -> bool:
    """Whether the adapter was built; `baseload lab up --with prometheus-adapter` does it."""
    return PROMETHEUS_ADAPTER.built()


def start(lab: Lab) -> "subprocess.Popen[bytes]":
    """Start the adapter and wait until the API server serves custom metrics by it.

    LabError if it is not built, or if the lab has no network of its own: the API server then has no way to it.
    """
    if not available():
        raise LabError("prometheus-adapter is not built; run `baseload lab up --with prometheus-adapter` first")
    address = lab.node_address
    if address is None:
        raise LabError("the API server reaches prometheus-adapter in a lab with a network namespace only")
    configuration = lab.directory / f"{PROCESS}.yaml"
    configuration.write_text(yaml.safe_dump(adapter_config(), sort_keys=False))
    pki = Pki(lab.directory / "pki")
    kubeconfig = lab.directory / "kubeconfigs" / f"{PROCESS}.yaml"
    process = lab.popen(
        [
            str(PROMETHEUS_ADAPTER.directory() / PROMETHEUS_ADAPTER.commands[0]),
            *(f"--{name}={kubeconfig}" for name in ("lister-kubeconfig", "authentication-kubeconfig")),
            f"--authorization-kubeconfig={kubeconfig}",
            f"--prometheus-url={lab.prometheus_url}",
            f"--config={configuration}",
            f"--metrics-relist-interval={_RELIST}",
            f"--bind-address={address}",
            f"--secure-port={_PORT}",
            f"--tls-cert-file={pki.certificate('server')}",
            f"--tls-private-key-file={pki.key('server')}",
        ],
        name=PROCESS,
    )
    lab.apply(*api_objects(pki, address))
    _wait_until_served(lab, process)
    return process


def _wait_until_served(lab: Lab, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _SERVED_SECONDS
    while True:
        if process.poll() is not None:
            tail = lab.log(PROCESS).read_text(errors="replace")[-1000:]
            raise LabError(f"prometheus-adapter ended with exit code {process.returncode}; its last words:\n{tail}")
        try:
            lab.kubectl("get", "--raw", "/apis/custom.metrics.k8s.io/v1beta1")
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def stop(lab: Lab) -> None:
    """Take the adapter out of the API and stop it."""
    withdraw(lab)
    lab.stop(PROCESS)


def withdraw(lab: Lab) -> None:
    """Remove its APIService: a group that nobody serves would keep every namespace from being deleted."""
    lab.kubectl("delete", "apiservice", _API, "--ignore-not-found")


def adapter_config() -> dict[str, Any]:
    """Return the adapter's rules: one metric, the requests that run or wait in a pod's engine."""
    parts = (f"vllm:num_requests_{state}{{<<.LabelMatchers>>}}" for state in ("running", "waiting"))
    rule = {
        "seriesQuery": 'vllm:num_requests_running{namespace!="",pod!=""}',
        "resources": {"overrides": {name: {"resource": name} for name in ("namespace", "pod")}},
        "name": {"matches": "^.*$", "as": IN_FLIGHT},
        "metricsQuery": " + ".join(f"sum({part}) by (<<.GroupBy>>)" for part in parts),
    }
    return {"rules": [rule]}


def api_objects(pki: Pki, address: str) -> list[dict[str, Any]]:
    """Return what leads from custom.metrics.k8s.io to the adapter's port on `address`."""
    name, namespace = AGGREGATED_SERVICE
    metadata = {"name": name, "namespace": namespace}
    # A Service and its slice belong together by this label, and their ports by name.
    slice_metadata = {**metadata, "labels": {"kubernetes.io/service-name": name}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": _PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": slice_metadata,
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": _PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": _API},
            "spec": {
                "group": "custom.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": name, "namespace": namespace},
                "caBundle": base64.b64encode(pki.authority.read_bytes()).decode(),
            },
        },
    ]
