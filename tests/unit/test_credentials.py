"""Tokens in files: found, renewed in time, and kept when the file has none."""

from pathlib import Path

import pytest
from kubernetes.aio import client

from baseload.errors import ConfigError
from baseload.lab.certificates import create_pki
from baseload.observe import connection as module
from baseload.observe.connection import KubeConnection
from baseload.observe.credentials import token_file_of

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:1"}}}}]
users: [{{name: u, user: {user}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


def write_kubeconfig(folder: Path, user: str) -> Path:
    """A kubeconfig with one user."""
    path = folder / "kubeconfig"
    path.write_text(KUBECONFIG.format(user=user))
    return path


async def header(connection: KubeConnection) -> str | None:
    """What a request would carry."""
    token: str | None = await connection.configuration.get_api_key_with_prefix("BearerToken")
    return token


async def test_renewed_token_file_is_read_again_without_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is read again each minute; an empty or missing one leaves the token there is."""
    token = tmp_path / "token"
    token.write_text("first\n")
    connection = await KubeConnection.open(write_kubeconfig(tmp_path, "{tokenFile: token}"))
    assert await header(connection) == "Bearer first"
    token.write_text("second\n")
    assert await header(connection) == "Bearer first"
    monkeypatch.setattr(module, "TOKEN_SECONDS", 0.0)
    assert await header(connection) == "Bearer second"
    token.write_text("")
    assert await header(connection) == "Bearer second"
    token.unlink()
    assert await header(connection) == "Bearer second"
    await connection.close()


async def test_refused_token_is_read_again_at_once(tmp_path: Path) -> None:
    """A 401 reads the credentials again without waiting for the minute."""
    token = tmp_path / "token"
    token.write_text("first")
    connection = await KubeConnection.open(write_kubeconfig(tmp_path, "{tokenFile: token}"))
    token.write_text("second")
    await connection.reload()
    assert await header(connection) == "Bearer second"
    await connection.close()


async def test_token_in_the_kubeconfig_itself_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    """A kubeconfig that was replaced is taken; one that is unreadable for a moment changes nothing."""
    path = write_kubeconfig(tmp_path, "{token: first}")
    connection = await KubeConnection.open(path)
    path.write_text("{broken")
    await connection.reload()
    assert await header(connection) == "Bearer first"
    connection._reloaded -= module.RELOAD_SPACING_SECONDS
    write_kubeconfig(tmp_path, "{token: second}")
    await connection.reload()
    assert await header(connection) == "Bearer second"
    await connection.close()


def test_only_files_are_watched(tmp_path: Path) -> None:
    """A token, a certificate or a plugin in the kubeconfig has no file that others renew."""
    assert token_file_of(write_kubeconfig(tmp_path, "{tokenFile: token}")) == tmp_path / "token"
    assert token_file_of(write_kubeconfig(tmp_path, "{tokenFile: /var/token}")) == Path("/var/token")
    assert token_file_of(write_kubeconfig(tmp_path, "{token: secret}")) is None
    assert token_file_of(write_kubeconfig(tmp_path, "{exec: {command: login}}")) is None
    assert token_file_of(tmp_path / "nowhere") is None


async def test_token_of_a_pod_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pod the kubelet replaces the file; a line feed at its end never reaches a header."""
    token, authority = tmp_path / "token", create_pki(tmp_path / "pki").authority
    token.write_text("first\n")
    loader = "kubernetes.aio.config.incluster_config"
    monkeypatch.setattr(f"{loader}.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(f"{loader}.SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr("baseload.observe.credentials.SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    connection = await KubeConnection.open(None)
    assert (await header(connection) or "").lower() == "bearer first"
    token.write_text("second\n")
    monkeypatch.setattr(module, "TOKEN_SECONDS", 0.0)
    assert await header(connection) == "Bearer second"
    await connection.close()


async def test_no_credentials_are_said(tmp_path: Path) -> None:
    """Without a usable file the message says what was tried and what to pass."""
    with pytest.raises(ConfigError, match="pass --kubeconfig FILE"):
        await KubeConnection.open(tmp_path / "nowhere")
    assert client.Configuration().refresh_api_key_hook is None
