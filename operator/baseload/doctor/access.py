"""Reading from a cluster with a person's own kubeconfig: plain objects, or why they could not be read."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from kubernetes.aio import client, config

from baseload.errors import ApiError, ConfigError, NotFoundError
from baseload.observe.connection import KubeConnection

PAGE_SIZE: Final = 500
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read, and why; never the same as nothing."""

    why: str


class Access:
    """Reads of one cluster; `namespace` is the one of the kubeconfig's context."""

    def __init__(self, connection: KubeConnection, namespace: str) -> None:
        self.connection = connection
        self.namespace = namespace

    async def one(self, path: str) -> Raw | Unread | None:
        """One object; None when it is not there."""
        try:
            return dict(orjson.loads(await self.connection.get(path)))
        except NotFoundError:
            return None
        except ApiError as error:
            return Unread(brief(error))

    async def every(
        self, path: str, parameters: Mapping[str, str] | None = None, *, absent: "tuple[Raw, ...] | Unread" = ()
    ) -> tuple[Raw, ...] | Unread:
        """All objects of a collection by pages; `absent` when the cluster does not know the kind."""
        found: list[Raw] = []
        asked = {"limit": str(PAGE_SIZE), **(parameters or {})}
        try:
            while True:
                page = orjson.loads(await self.connection.get(path, asked))
                found += page["items"]
                token = page["metadata"].get("continue")
                if not token:
                    return tuple(found)
                asked["continue"] = token
        except NotFoundError:
            return absent
        except ApiError as error:
            return Unread(brief(error))


@asynccontextmanager
async def opened(kubeconfig: Path | None, context: str | None) -> AsyncIterator[Access]:
    """Connect as kubectl does: the given file, `KUBECONFIG`, `~/.kube/config`, or a pod's service account.

    Raises ConfigError when there are no credentials or they cannot be read.
    """
    configuration = client.Configuration()
    file = kubeconfig_file(kubeconfig)
    namespace = "default"
    try:
        if file is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=file, context=context, client_configuration=configuration, persist_config=False
            )
            namespace = _namespace_of(file, context)
    except Exception as error:  # the client raises whatever a malformed file makes it stumble over
        where = "the pod's service account" if file is None else f"kubeconfig '{file}'"
        chosen = "" if context is None else f" with --context '{context}'"
        known = _contexts(file)
        raise ConfigError(
            f"credentials: {where}{chosen} cannot be used ({type(error).__name__}: {error}){known};"
            " pass --kubeconfig FILE, and --context NAME for another cluster of it"
        ) from error
    connection = KubeConnection(None if file is None else Path(file), client.ApiClient(configuration))
    try:
        yield Access(connection, namespace)
    finally:
        await connection.close()


def kubeconfig_file(given: Path | None) -> str | None:
    """The kubeconfig to use; None inside a pod that has none. Raises ConfigError when there is nothing at all."""
    if given is not None:
        return str(given)
    named = os.environ.get("KUBECONFIG")
    if named:
        if not any(Path(part).exists() for part in named.split(os.pathsep)):
            raise ConfigError(f"credentials: KUBECONFIG names '{named}', which does not exist; pass --kubeconfig FILE")
        return named
    home = Path.home() / ".kube" / "config"
    if home.exists():
        return str(home)
    if (SERVICE_ACCOUNT / "token").exists():
        return None
    raise ConfigError(f"credentials: neither KUBECONFIG nor {home} names a cluster; pass --kubeconfig FILE")


def brief(error: Exception) -> str:
    """An API error without the Status object around its message."""
    text = str(error)
    head, brace, body = text.partition(" {")
    try:
        return f"{head}: {orjson.loads(brace.strip() + body)['message']}"
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return text[:300]


def _namespace_of(file: str, context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts(config_file=file)  # type: ignore[no-untyped-call]
    chosen = active if context is None else next(c for c in contexts if c["name"] == context)
    return str((chosen.get("context") or {}).get("namespace") or "default")


def _contexts(file: str | None) -> str:
    """The contexts there are, for a message; nothing when they cannot be read either."""
    if file is None:
        return ""
    try:
        contexts, _ = config.list_kube_config_contexts(config_file=file)  # type: ignore[no-untyped-call]
    except Exception:  # the file is the very thing that cannot be read
        return ""
    return f"; it has the contexts {', '.join(sorted(str(c['name']) for c in contexts))}"
