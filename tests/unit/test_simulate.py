"""`baseload simulate`: the operator's decisions for one ModelServing over a day, and what is refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baseload.cli.main import cli
from baseload.errors import ConfigError

EXAMPLES = Path(__file__).resolve().parents[2] / "manifests" / "examples"
SERVING, POOL = EXAMPLES / "modelserving.yaml", EXAMPLES / "capacitypool.yaml"


def run(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["simulate", *(str(argument) for argument in arguments)])


def test_a_day_of_decisions_with_their_reasons(tmp_path: Path) -> None:
    """Table, changes inside the bounds of the ModelServing with a reason each, and files."""
    out, report = tmp_path / "out.json", tmp_path / "report"
    result = run("-f", SERVING, "-f", POOL, "--json", out, "--report", report)
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    (score,) = content["results"]
    assert (score["policy"], score["trace"]) == ("baseload", "chat-8b on synthetic")
    assert content["changes"]
    assert all(1 <= change["after"] <= 12 for change in content["changes"])
    assert all(change["message"] and change["reason"] in result.output for change in content["changes"])
    assert (report / "simulate.png").exists()


def test_bounds_and_accelerators_of_the_files_hold(tmp_path: Path) -> None:
    """At most three replicas, each with the two accelerators that its Deployment asks for, over a trace."""
    serving = tmp_path / "serving.yaml"
    serving.write_text(SERVING.read_text().replace("max: 12", "max: 3"))
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text((EXAMPLES / "deployment-vllm.yaml").read_text().replace('gpu: "1"', 'gpu: "2"'))
    trace = tmp_path / "trace.csv"
    trace.write_text("t_seconds,requests_per_second\n" + "".join(f"{600 * t},{1 + t % 12}\n" for t in range(48)))
    out = tmp_path / "out.json"
    arguments = ["-f", serving, "-f", POOL, "-f", deployment, "--trace", trace, "--replica-share", "0.25"]
    result = run(*arguments, "--json", out)
    assert result.exit_code == 0, result.output
    assert max(change["after"] for change in json.loads(out.read_text())["changes"]) == 3
    assert "$" in result.output


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([POOL], "one ModelServing is simulated, and the files have none"),
        ([SERVING], "there is no CapacityPool in the files; add -f POOL.yaml"),
    ],
)
def test_files_that_do_not_suffice_are_refused(files: list[Path], message: str) -> None:
    """The message says what to add."""
    result = run(*(word for file in files for word in ("-f", file)))
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)
