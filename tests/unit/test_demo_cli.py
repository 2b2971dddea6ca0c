"""`baseload demo` and `baseload bench` refuse wrong input in one line, exit 2, before anything is started."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--speed", "0"], "--speed 0 is out of range: use a number from 0.1 to 1000"),
        (["demo", "--policy", "keda"], "--policy 'keda' is unknown: use baseload, hpa, or static-N"),
        (["demo", "--policy", "hpa", "--engine", "llama.cpp"], "--policy hpa scales on vLLM's metrics"),
        (["demo", "--trace", "nowhere.csv"], "--trace 'nowhere.csv' is not a file"),
        (["demo", "--trace", "pyproject.toml"], "use t_seconds,requests_per_second, t_s,prompt_tokens,output_tokens"),
        (["demo", "--lab", "A B"], "lab name 'A B' must be"),
        (["demo", "--engine", "gpu"], "'gpu' is not one of 'emulated', 'llama.cpp'"),
        (["bench", "everything"], "NAME 'everything' is no benchmark; it is one of"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(arguments: list[str], message: str) -> None:
    """The message names option, value and remedy; there is no traceback."""
    command = [sys.executable, "-m", "baseload.cli.main", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 2, answer.stderr
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
