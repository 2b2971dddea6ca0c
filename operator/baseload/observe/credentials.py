"""Where the operator's credentials come from: the pod's service account or a kubeconfig, and how a token is renewed."""

import asyncio
import logging
from pathlib import Path

import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME

from baseload.errors import ConfigError

logger = logging.getLogger(__name__)


async def load_credentials(kubeconfig: Path | None, configuration: client.Configuration) -> None:
    """Fill the official client's configuration; the files it reads are small and local. Raises ConfigError."""
    try:
        if kubeconfig is None:
            # Its own renewal raises when it meets an empty file; ours keeps the token there is.
            config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)  # type: ignore[no-untyped-call]
        else:
            file = str(kubeconfig)
            await config.load_kube_config(config_file=file, client_configuration=configuration)  # type: ignore[no-untyped-call]
    except Exception as error:  # the client raises whatever a malformed file makes it stumble over
        where = "the pod's service account" if kubeconfig is None else f"kubeconfig '{kubeconfig}'"
        what = f"{type(error).__name__}: {error}"
        message = f"credentials: {where} cannot be used ({what}); pass --kubeconfig FILE or run inside a cluster"
        raise ConfigError(message) from error
    if configuration.api_key.get("BearerToken"):
        # Files end with a line feed, which no header may have.
        configuration.api_key["BearerToken"] = configuration.api_key["BearerToken"].strip()
    await asyncio.sleep(0)


def token_file_of(kubeconfig: Path | None) -> Path | None:
    """The file whose token others renew while we run; None when the credentials are of another kind."""
    if kubeconfig is None:
        return Path(SERVICE_TOKEN_FILENAME)
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        name = next(c["context"]["user"] for c in content["contexts"] if c["name"] == content["current-context"])
        user = next(u["user"] for u in content["users"] if u["name"] == name)
    except (OSError, yaml.YAMLError, LookupError, StopIteration, TypeError):
        return None
    # A token beside it wins, as with kubectl's library that reads the file for us.
    given = None if user.get("token") else user.get("tokenFile")
    return kubeconfig.parent / given if given else None


def take_token(token_file: Path, configuration: client.Configuration) -> None:
    """Use the token that the file holds now; a file that is missing or empty leaves the one there is."""
    try:
        token = token_file.read_text().strip()
    except OSError as error:
        logger.warning("token not read again", extra={"file": str(token_file), "error": str(error)})
        return
    if token:
        configuration.api_key["BearerToken"] = f"Bearer {token}"
