"""LeaderWorkerSets in the lab: their real kind and their real controller, started when somebody needs them.

The controller's webhooks are served on the lab's loopback interface with the lab's own certificate, and see no pods but
its own: the rest of the lab must not depend on them.
"""

import base64
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import yaml

from baseload.errors import LabError
from baseload.lab.build import LWS
from baseload.lab.certificates import Pki
from baseload.lab.cluster import Lab

PROCESS: Final = "lws"
_WEBHOOK_PORT = 9443
_SERVED_SECONDS = 30.0
_SET_NAME_LABEL = "leaderworkerset.sigs.k8s.io/name"
_CRD, _WEBHOOKS = (Path(path).name for _, path in LWS.copies)


def available() -> bool:
    """Whether the controller was built; `baseload lab up --with lws` does it."""
    return LWS.built()


def start(lab: Lab) -> "subprocess.Popen[bytes]":
    """Install the kind and start its controller; its webhooks answer when a LeaderWorkerSet can be created."""
    if not available():
        raise LabError("the controller of LeaderWorkerSets is not built; run `baseload lab up --with lws` first")
    folder = lab.directory / PROCESS
    folder.mkdir(exist_ok=True)
    pki = Pki(lab.directory / "pki")
    shutil.copyfile(pki.certificate("server"), folder / "tls.crt")
    shutil.copyfile(pki.key("server"), folder / "tls.key")
    configuration = folder / "configuration.yaml"
    configuration.write_text(yaml.safe_dump(_configuration(folder)))
    # Server-side: a client-side apply would copy the whole schema into an annotation, which is too long for one.
    lab.kubectl("apply", "--server-side", "-f", str(LWS.directory() / _CRD))
    _wait_until_served(lab)
    command = [str(LWS.directory() / LWS.commands[0]), f"--config={configuration}"]
    process = lab.popen([*command, "--metrics-bind-address=0", "--leader-elect=false"], name=PROCESS)
    lab.apply(*webhooks((LWS.directory() / _WEBHOOKS).read_text(), pki))
    return process


def _wait_until_served(lab: Lab) -> None:
    deadline = time.monotonic() + _SERVED_SECONDS
    while True:
        try:
            lab.kubectl("get", "leaderworkersets.leaderworkerset.x-k8s.io", "--all-namespaces")
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def stop(lab: Lab) -> None:
    """Stop the controller and remove its webhooks and its kind, with all LeaderWorkerSets."""
    names = ("mutatingwebhookconfiguration/lws", "validatingwebhookconfiguration/lws")
    lab.kubectl("delete", "--ignore-not-found", *names)
    lab.kubectl("delete", "--ignore-not-found", "crd/leaderworkersets.leaderworkerset.x-k8s.io")
    lab.stop(PROCESS)


def webhooks(manifests: str, pki: Pki) -> list[dict[str, Any]]:
    """Return the controller's own webhook configurations, pointed at the lab's loopback interface."""
    authority = base64.b64encode(pki.authority.read_bytes()).decode()
    documents: list[dict[str, Any]] = [document for document in yaml.safe_load_all(manifests) if document]
    for document in documents:
        document["metadata"]["name"] = "lws"
        for webhook in document["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"https://127.0.0.1:{_WEBHOOK_PORT}{path}", "caBundle": authority}
            if any("pods" in rule["resources"] for rule in webhook["rules"]):
                expression = {"key": _SET_NAME_LABEL, "operator": "Exists"}
                webhook["objectSelector"] = {"matchExpressions": [expression]}
    return documents


def _configuration(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "health": {"healthProbeBindAddress": "127.0.0.1:9444"},
        "webhook": {"port": _WEBHOOK_PORT, "certDir": str(folder)},
    }
