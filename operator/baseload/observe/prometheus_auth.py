"""Who we are to Prometheus: a bearer token or a user from a file, read anew for each request, or a certificate."""

import base64
from dataclasses import dataclass
from pathlib import Path

import requests
import requests.auth

from baseload.errors import ConfigError, MetricsError


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files that mounted Secrets keep up to date; none of them is needed.

    `token_file` holds a bearer token, `basic_file` a line `user:password`, `ca_file` the certificates to trust instead
    of the public ones; `certificate_file` and `key_file` are the client's own, for mutual TLS.
    """

    token_file: Path | None = None
    basic_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError when two files contradict each other or one lacks its other half."""
        if self.token_file and self.basic_file:
            raise ConfigError("a token file and a basic auth file are given; Prometheus takes one, unset the other")
        if bool(self.certificate_file) != bool(self.key_file):
            raise ConfigError("a client certificate and its key belong together; give both files or none")

    def apply(self, session: requests.Session) -> None:
        """Let a session use them."""
        if self.token_file:
            session.auth = SecretFile(self.token_file, "Bearer")
        elif self.basic_file:
            session.auth = SecretFile(self.basic_file, "Basic")
        session.verify = str(self.ca_file) if self.ca_file else True
        if self.certificate_file and self.key_file:
            session.cert = (str(self.certificate_file), str(self.key_file))


class SecretFile(requests.auth.AuthBase):
    """Sends what a file holds, read for each request because mounted secrets are rotated."""

    def __init__(self, path: Path, scheme: str) -> None:
        self._path = path
        self._scheme = scheme

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the Authorization header; raises MetricsError when the file cannot be used. Its content is never told."""
        try:
            secret = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise MetricsError(f"{self._kind} {self._path} cannot be read: {why}; mount it or unset it") from error
        if not secret.isprintable() or not secret:
            raise MetricsError(f"{self._kind} {self._path} must hold one line; it is empty or has several")
        if self._scheme == "Basic":
            if ":" not in secret:
                raise MetricsError(f"{self._kind} {self._path} must hold user:password; there is no colon in it")
            secret = base64.b64encode(secret.encode()).decode()
        elif not secret.isascii():
            raise MetricsError(
                f"{self._kind} {self._path} must hold a token; it has characters that no header can carry"
            )
        request.headers["Authorization"] = f"{self._scheme} {secret}"
        return request

    @property
    def _kind(self) -> str:
        return "Prometheus token file" if self._scheme == "Bearer" else "Prometheus basic auth file"
