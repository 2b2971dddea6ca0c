"""Every form of a trace file: what is read from a good one, and the place that is named in a bad one."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from baseload.errors import ConfigError
from baseload.sim.case import SimPool
from baseload.sim.traces.as_case import case_of, cases_of, interpolated
from baseload.sim.traces.cutting import read_trace
from baseload.sim.traces.reading import read_rows
from baseload.sim.traces.rows import RequestRows
from baseload.sim.traces.tables import FORMS

AZURE_2023 = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
AZURE_2024_ROW = "2024-05-10 00:00:00.009930+00:00,2162,5\n"
BURSTGPT = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
MOONCAKE_ROW = '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n'
MOONCAKE_5 = '{"timestamp": 5000, "input_length": 10, "output_length": 1, "hash_ids": []}\n'
SERVEGEN = "t_s,rate_rps,idc,clients_active,mean_prompt_tokens,mean_output_tokens,token_coverage,gap\n"


def written(directory: Path, text: str, *, packed: bool = False) -> Path:
    """A trace file with this text."""
    path = directory / ("trace.gz" if packed else "trace")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def prometheus(values: list[object], series: int = 1) -> str:
    """The answer of /api/v1/query_range with these samples."""
    result = [{"metric": {}, "values": values}] * series
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def requests_of(path: Path) -> list[tuple[float, float, float]]:
    """The single requests of a file, seconds after the first one."""
    rows = read_rows(path)
    assert isinstance(rows, RequestRows)
    times = np.round(rows.time_seconds - rows.time_seconds[0], 6)
    return list(zip(times.tolist(), rows.prompt_tokens.tolist(), rows.output_tokens.tolist(), strict=True))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "t_s,prompt_tokens,output_tokens\n5,10,1\n6.5,20,7\n",
        "\n output_tokens , t_s,x,prompt_tokens\r\n1,5,,10\r\n\r\n7,6.5,,20\r\n",
        f"{AZURE_2023}2023-11-16 18:15:46.6805900,10,1\n2023-11-16 18:15:48.1805900,20,7\n",
        f"{AZURE_2023}2024-05-10 00:00:00.009930+00:00,10,1\n2024-05-10 00:00:01.509930+00:00,20,7\n",
        f"{BURSTGPT}5,ChatGPT,10,1,11,Conversation log\n6.5,GPT-4,20,7,27,API log\n",
        f'{MOONCAKE_5}{{"timestamp": 6500, "input_length": 20, "output_length": 7}}\n',
    ],
    ids=["own", "other order", "azure 2023", "azure 2024", "burstgpt", "mooncake"],
)
def test_single_requests_of_every_form(tmp_path: Path, text: str, packed: bool) -> None:
    """Time and lengths are the same whatever the file is called and however it is packed."""
    assert requests_of(written(tmp_path, text, packed=packed)) == [(0, 10, 1), (1.5, 20, 7)]


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("t_seconds,requests_per_second\n0,2\n600,4\n1200,6\n", [2, 4, 6]),
        ("t_seconds,requests_per_second\n0,2\n600,\n1200,6\n", [2, np.nan, 6]),
        ("t_seconds,requests_per_second\n0,2\n600,4\n1800,6\n2400,8\n", [2, 4, np.nan, 6, 8]),
        ("t_seconds,requests_per_second\n0,0\n600,6\n1800,6\n", [3, 6, 6]),
        (f"{SERVEGEN}0,2,9.5,55,594,127,0.4,0\n600,7,,,,,,1\n1200,6,9.5,55,594,127,0.4,0\n", [2, np.nan, 6]),
        ("t_min,lo_per_min,mean_per_min,hi_per_min\n5,0,120,0\n15,0,240,0\n", [2, 4]),
        ("timestamp,value\n2014-04-10 00:04:00,600\n2014-04-10 00:09:00,1200\n2014-04-10 00:14:00,300\n", [3, 1]),
        (prometheus([[600, "2"], [1200, "NaN"], [1800, "6"], [3000, "8"]]), [2, np.nan, 6, np.nan, 8]),
    ],
    ids=["plain", "empty cell", "row left out", "corners", "servegen", "digitised", "counts", "prometheus"],
)
def test_rates_of_every_form_in_steps_of_ten_minutes(tmp_path: Path, text: str, rates: list[float]) -> None:
    """A row holds until the next one, corners at unequal distances are straight lines, and a gap stays a gap."""
    trace = read_trace(written(tmp_path, text), 600.0)
    np.testing.assert_allclose(trace.rate_rps, rates, rtol=1e-9)
    np.testing.assert_array_equal(trace.work, trace.rate_rps)


def test_shorter_rows_are_averaged_and_a_step_that_is_hardly_known_is_a_gap(tmp_path: Path) -> None:
    """Rows of 200 s in steps of 600 s: the mean of the known ones, if they cover half of the step."""
    rates = ["3", "6", "9", "", "4", "6", "", "", "8"]
    rows = "".join(f"{200 * index},{rate}\n" for index, rate in enumerate(rates))
    trace = read_trace(written(tmp_path, "t_seconds,requests_per_second\n" + rows), 600.0)
    np.testing.assert_allclose(trace.rate_rps, [6, 5, np.nan])


def test_single_requests_are_counted_in_steps(tmp_path: Path) -> None:
    """Rate and mean lengths by step, a step without requests is zero, and what does not fill a step is left out."""
    rows = "".join(f"{time},{prompt},{output}\n" for time, prompt, output in [(0, 40, 1), (9, 80, 3), (25, 4, 5)])
    trace = read_trace(written(tmp_path, "t_s,prompt_tokens,output_tokens\n" + rows + "34,0,9\n"), 10.0)
    np.testing.assert_allclose(trace.rate_rps, [0.2, 0, 0.1])
    np.testing.assert_allclose(trace.prompt_tokens, [60, np.nan, 4])
    np.testing.assert_allclose(trace.output_tokens, [2, np.nan, 5])
    np.testing.assert_allclose(trace.work, [3.4, 0, 0.6])
    assert trace.requests is None


def test_recordings_that_go_back_a_little_are_sorted(tmp_path: Path) -> None:
    """Servers write requests when they end, so that public traces need not be in order."""
    text = f"{BURSTGPT}5,A,1,1,2,L\n8,A,2,1,3,L\n7,A,3,1,4,L\n16,A,4,1,5,L\n"
    trace = read_trace(written(tmp_path, text), 10.0, keep_requests=True)
    assert trace.requests is not None
    assert trace.requests.time_seconds.tolist() == [0, 2, 3, 11]
    assert trace.requests.prompt_tokens.tolist() == [1, 3, 2, 4]


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    """More rows than a block: the line of an error and the counts are those of the whole file."""
    count = 70_000
    rows = [f"{index / 10},8,2\n" for index in range(count)]
    heard: list[float] = []
    trace = read_trace(written(tmp_path, "t_s,prompt_tokens,output_tokens\n" + "".join(rows)), progress=heard.append)
    np.testing.assert_allclose(trace.rate_rps, np.full(11, 10.0))
    assert len(heard) == 2
    assert heard == sorted(heard)
    assert 0 < heard[-1] <= 1
    rows[count - 1] = f"{count},8,x\n"
    with pytest.raises(ConfigError, match=f"line {count + 1}, column output_tokens: 'x' is not a number of at least 0"):
        read_trace(written(tmp_path, "t_s,prompt_tokens,output_tokens\n" + "".join(rows)))


def test_dispersion_of_even_and_uneven_arrivals(tmp_path: Path) -> None:
    """Evenly spaced requests have none, ten at once every ten seconds have nine."""
    even = "".join(f"{second},1,1\n" for second in range(1200))
    uneven = "".join(f"{second // 10 * 10},1,1\n" for second in range(1200))
    traces = [read_trace(written(tmp_path, f"t_s,prompt_tokens,output_tokens\n{rows}")) for rows in (even, uneven)]
    assert traces[0].dispersion == pytest.approx(0.0)
    assert traces[1].dispersion == pytest.approx(9.0, rel=0.02)
    servegen = f"{SERVEGEN}0,2,9.5,1,,,,0\n600,7,64,1,,,,0\n1200,6,10.5,1,,,,0\n"
    assert read_trace(written(tmp_path, servegen)).dispersion == pytest.approx(10.5)


def test_token_means_of_all_requests_are_work_and_those_of_a_part_are_not(tmp_path: Path) -> None:
    """ServeGen's means stand for two thirds of the traffic: demand then follows the requests."""
    plain = "t_seconds,requests_per_second,prompt_tokens,output_tokens\n0,2,400,100\n600,4,800,50\n"
    np.testing.assert_allclose(read_trace(written(tmp_path, plain)).work, [2 * 200, 4 * 250])
    trace = read_trace(written(tmp_path, f"{SERVEGEN}0,2,9,1,400,100,0.4,0\n600,4,9,1,800,50,0.4,0\n"))
    np.testing.assert_allclose(trace.work, [2, 4])
    np.testing.assert_allclose(trace.output_tokens, [100, 50])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{AZURE_2023}{AZURE_2024_ROW}yesterday,1,2\n", "line 3, column TIMESTAMP: 'yesterday' is not a time in UTC"),
        (f"{AZURE_2023}{AZURE_2024_ROW}\n,1,2\n", "line 4, column TIMESTAMP: '' is not a time"),
        (f"{AZURE_2023}{AZURE_2024_ROW}2024-05-09 00:00:00,1,2\n", "line 3, column TIMESTAMP: 2024-05-09 00:00:00 is"),
        (f"{AZURE_2023}{AZURE_2024_ROW}2024-05-10 01:00:00,,2\n", "line 3, column ContextTokens: '' is not a number"),
        (f"{BURSTGPT}5,A,1,1,2,L\n6,A,1,-2,3,L\n", "line 3, column Response tokens: '-2' is not a number of at least"),
        (f"{BURSTGPT}5,A,1,1,2,L\n1e9,A,1,2,3,L\n", "spans more than 400 days"),
        (f"{BURSTGPT}", "there is no request in it"),
        (f"{MOONCAKE_ROW}\n{{oops\n", "line 3, column 2: "),
        (f"{MOONCAKE_ROW}[1]\n", "line 2, column 1: '[1]' is not a JSON object"),
        (
            f'{MOONCAKE_ROW}{{"timestamp": 1, "input_length": "3"}}\n',
            "line 2, column input_length: '3' is not a number",
        ),
        (
            f'{MOONCAKE_ROW}{{"timestamp": 1, "input_length": 3}}\n',
            "line 2, column output_length: None is not a number",
        ),
        (MOONCAKE_ROW + MOONCAKE_ROW.replace("0,", "-1,", 1), "line 2, column timestamp: -1 is not a number"),
        (f"{SERVEGEN}0,2,9,1,1,1,1,0\n600,2,9,1,1,1,1,maybe\n", "line 3, column gap: 'maybe' is not a number"),
        (f"{SERVEGEN}0,2,9,1,1,1,1,0\n600,2,9,1,1,1,1,2\n", "line 3, column gap: '2' is not 0 or 1"),
        ("t_min,mean_per_min\n5,1\n5,1\n", "line 3, column t_min: 5 is not after 5"),
        ("timestamp,value\n2014-04-10 00:04:00,inf\n2014-04-10 00:09:00,1\n", "line 2, column value: 'inf'"),
        ("timestamp,value\n2014-04-10 00:04:00,1\n", "line 2, column timestamp: a rate needs at least two points"),
        ("t_seconds,requests_per_second\n0,\n600,\n", "every row is a gap"),
        ("t_seconds,requests_per_second\n0,1\n600,\0\n", "line 3, column requests_per_second: '\\x00'"),
        ('{"data":\n {"resultType": }', "line 2, column 17: "),
        ('{"status": "error"}', "column data.resultType: there is no matrix"),
        (prometheus([[1, "2"], [2, "3"]], series=2), "column data.result: there are 2 series; query one"),
        (prometheus([[1, "2"]]), "column data.result[0].values: there are fewer than two samples"),
        (prometheus([[1, "2"], [2, "many"]]), "column data.result[0].values[1]: [2, 'many'] is not a pair"),
        (prometheus([[1, "2"], [2, "-3"]]), "column data.result[0].values[1]: -3 is not a number of at least 0"),
        (prometheus([[2, "2"], [1, "3"]]), "column data.result[0].values[1][0]: 1 is not after the one before"),
    ],
)
def test_bad_files_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    """Line and column, the value that stands there, and what is expected."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_trace(path)
    assert path.name in str(caught.value)
    assert message in str(caught.value)


def test_an_unknown_header_is_answered_with_all_forms(tmp_path: Path) -> None:
    """Who brings another file sees what its columns could be."""
    with pytest.raises(ConfigError) as caught:
        read_trace(written(tmp_path, "when,what\n1,2\n"))
    message = str(caught.value)
    assert "line 1: the columns are 'when,what'" in message
    assert all(",".join(form.columns) in message for form in FORMS)


def test_torn_files_are_refused(tmp_path: Path) -> None:
    """A download that ended early is said to be so, also when it is read in blocks."""
    path = tmp_path / "torn.csv.gz"
    path.write_bytes(gzip.compress(b"t_s,prompt_tokens,output_tokens\n" + b"1,2,3\n" * 999)[:-30])
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trace(path)


def test_a_trace_shorter_than_a_step_is_refused(tmp_path: Path) -> None:
    """Nothing can be said about ten minutes that were not seen."""
    for text in ("t_s,prompt_tokens,output_tokens\n0,1,1\n9,1,1\n", "t_seconds,requests_per_second\n0,1\n9,1\n"):
        with pytest.raises(ConfigError, match="use a longer trace or --step-minutes"):
            read_trace(written(tmp_path, text), 600.0)


def test_demand_is_scaled_to_replicas_and_gaps_stay_only_in_what_policies_see(tmp_path: Path) -> None:
    """With a share of 0.05 the mean is twenty replicas; the world interpolates what nobody measured."""
    text = "t_seconds,requests_per_second\n0,2\n600,\n1200,4\n1800,3\n2400,3\n"
    pool = SimPool(price=2.0)
    case = case_of(read_trace(written(tmp_path, text)), 0.05, pools=[pool], penalty=50.0)
    assert (case.step_seconds, case.steps_per_day, case.penalty, case.pools) == (600.0, 144, 50.0, (pool,))
    assert case.world.mean() == pytest.approx(20.0)
    np.testing.assert_allclose(case.world[0] / case.world[0, 0], [1, 1.5, 2, 1.5, 1.5])
    np.testing.assert_array_equal(np.isnan(case.demand[0]), [False, True, False, False, False])
    np.testing.assert_array_equal(interpolated(np.array([np.nan, 3, np.nan])), [3, 3, 3])


def test_servings_are_scaled_each_by_itself_and_need_the_same_steps(tmp_path: Path) -> None:
    """A block of servings has one grid of time."""
    short, long = "0,1\n600,3\n", "0,1\n600,3\n1200,5\n"
    head = "t_seconds,requests_per_second\n"
    one, other = (read_trace(written(tmp_path, head + rows)) for rows in (short, long))
    assert cases_of([one, one], 0.5).world.tolist() == [[1, 3], [1, 3]]
    with pytest.raises(ConfigError, match="different steps"):
        cases_of([one, other])
    with pytest.raises(ConfigError, match="no demand"):
        case_of(read_trace(written(tmp_path, head + "0,0\n600,0\n")))
