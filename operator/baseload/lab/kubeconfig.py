"""Write kubeconfig files that need no other file."""

import base64
import os
from pathlib import Path

import yaml

from baseload.lab.certificates import Pki


def write_certificate_kubeconfig(path: Path, *, api_url: str, pki: Pki, client: str) -> None:
    """Write a kubeconfig that logs in with the client certificate `client` of the lab's PKI."""
    user = {
        "client-certificate-data": _encoded(pki.certificate(client)),
        "client-key-data": _encoded(pki.key(client)),
    }
    _write(path, api_url, pki, client, user)


def write_token_kubeconfig(path: Path, *, api_url: str, pki: Pki, user: str, token: str) -> None:
    """Write a kubeconfig that logs in with a bearer token."""
    _write(path, api_url, pki, user, {"token": token})


def _write(path: Path, api_url: str, pki: Pki, user: str, credentials: dict[str, str]) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "lab",
                "cluster": {"server": api_url, "certificate-authority-data": _encoded(pki.authority)},
            }
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        "current-context": "lab",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(content, file, sort_keys=False)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
