"""Where the lab keeps its binaries and the state of each lab."""

import re
from pathlib import Path

import platformdirs

from baseload.errors import ConfigError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def cache_directory() -> Path:
    """Return the folder of what can be built again: tool binaries and the packaged Go toolchain."""
    return Path(platformdirs.user_cache_dir("baseload"))


def labs_directory() -> Path:
    """Return the folder that holds one folder per lab."""
    return Path(platformdirs.user_state_dir("baseload")) / "labs"


def lab_directory(name: str) -> Path:
    """Return the folder of one lab; ConfigError if the name cannot be one."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"lab name {name!r} must be 1 to 40 lower-case letters, digits or '-', like 'default'")
    return labs_directory() / name
