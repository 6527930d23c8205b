"""The measuring instrument: that its clock, its intervals and its forecasts are right, and what the user is told."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fastmlp.bench import command, memory, rounds, show
from fastmlp.bench.forecast import Checked, forecast
from fastmlp.bench.own import own_data
from fastmlp.bench.peers import OURS, PEERS, Peer
from fastmlp.bench.profile import profile
from fastmlp.bench.rounds import Timing, interleave, noise, ratio
from fastmlp.bench.sizes import Cell, Size, in_turn, measure
from fastmlp.bench.workload import Workload, sizes_between
from fastmlp.cli import app


class Clock:
    """A clock that only work moves on, by its cost times what a drifting machine makes of it."""

    def __init__(self, monkeypatch, drift=0.0):
        self.now, self._drift = 100.0, drift
        monkeypatch.setattr(rounds.time, "perf_counter", lambda: self.now)

    def work(self, cost):
        def run():
            self.now += cost * (1 + self._drift * (self.now - 100))

        return run


def test_medians_are_what_the_work_costs(monkeypatch):
    clock = Clock(monkeypatch)
    timings = interleave({"a": clock.work(0.5), "b": clock.work(0.2)}, 9)
    assert {name: timing.median for name, timing in timings.items()} == pytest.approx({"a": 0.5, "b": 0.2})
    assert timings["a"].spread == pytest.approx(0, abs=1e-9)
    assert timings["a"].per(5).median == pytest.approx(0.1)
    assert ratio(timings["b"], timings["a"]).median == pytest.approx(2.5)


def test_taking_turns_cancels_a_drift(monkeypatch):
    clock = Clock(monkeypatch, drift=0.02)
    one, other = clock.work(0.5), clock.work(0.5)
    first, second = (interleave({"": work}, 15)[""] for work in (one, other))
    assert second.median / first.median > 1.1
    timings = interleave({"one": one, "other": other}, 15)
    found = ratio(timings["one"], timings["other"])
    assert found.median == pytest.approx(1, abs=0.02)


def test_time_that_runs_out_ends_the_rounds(monkeypatch):
    clock = Clock(monkeypatch)
    assert len(interleave({"a": clock.work(1.0)}, 100, seconds=5.5)["a"].seconds) == 5
    assert len(interleave({"a": clock.work(1.0)}, 100, seconds=0.1)["a"].seconds) == 1
    entered = []

    class Around:
        def __init__(self, name):
            entered.append(name)

        def __enter__(self):
            clock.now += 50

        def __exit__(self, *_):
            pass

    assert interleave({"a": clock.work(1.0)}, 3, around=Around)["a"].median == 1
    assert entered == ["a"] * 3


@pytest.mark.parametrize(("n", "left_out"), [(1, 0), (2, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (15, 3), (20, 5)])
def test_how_many_ranks_an_interval_of_the_median_leaves_out(n, left_out):
    assert rounds._ranks_to_leave_out(n) == left_out


def test_the_interval_covers_the_median(random):
    covered = 0
    for _ in range(1000):
        theirs = Timing(tuple(np.exp(0.1 * random.standard_normal(15))))
        found = ratio(Timing((1.0,) * 15), theirs)
        covered += found.low <= 1 <= found.high
    assert covered >= 940
    assert ratio(Timing((1.0, 1.0)), Timing((1.5, 1.7))).tells
    assert not ratio(Timing((1.0, 1.0)), Timing((0.9, 1.7))).tells


def test_noise_is_the_typical_spread():
    calm, wild = Timing((1.0, 1.0, 1.0, 1.0)), Timing((1.0, 2.0, 3.0, 4.0))
    assert noise([calm, calm, wild]) == 0
    assert noise([wild]) == pytest.approx(0.6)
    assert show.noise_line([Size(Workload(10), [Cell("fastmlp", 10, calm)])]) is None
    assert "60 %" in show.noise_line([Size(Workload(10), [Cell("fastmlp", 10, wild)])])


def test_sizes():
    assert sizes_between(200, 1_000_000) == [200, 1700, 14000, 120000, 1000000]
    assert sizes_between(200, 200_000) == [200, 2000, 20000, 200000]
    assert sizes_between(50, 50) == [50]
    assert command.parse_sizes("1e3,200,200") == [200, 1000]
    assert command.parse_sizes("200:2e4") == [200, 2000, 20000]


@pytest.mark.parametrize("text", ["", "many", "1", "2.5", "200:", "300:200", "nan"])
def test_sizes_that_are_none(text):
    with pytest.raises(ValueError, match="--sizes"):
        command.parse_sizes(text)


def test_workloads():
    workload = Workload(1000, 5, (7, 3), 4)
    assert workload.sizes == (5, 7, 3, 4)
    assert workload.arithmetic == 1000 * 2 * (2 * 35 + 3 * 21 + 3 * 12)
    assert (workload.batch_size, workload.steps) == (200, 5)
    assert (Workload(150).batch_size, Workload(1000, batch="full").batch_size, Workload(1000, batch=333).steps) == (
        None,
        None,
        4,
    )
    X, y = workload.data()
    assert (X.shape, X.dtype, y.shape) == ((1000, 5), np.float32, (1000,))
    assert set(y) == {0, 1, 2, 3}
    assert (workload.of(300).data()[0] == X[:300]).all()


def sized(seconds):
    return [Size(Workload(n), [Cell("fastmlp", n, Timing((taken,)), memory=1000)]) for n, taken in seconds.items()]


def line_through(seconds):
    sizes = sized(seconds)
    return forecast(sizes, [size.ours.timing for size in sizes])


def test_a_forecast_is_a_line():
    found = line_through({100: 1.1, 200: 1.2, 1000: 2.0})
    assert (found.start, found.per_sample) == pytest.approx((1.0, 0.001))
    assert found.seconds(10_000) == pytest.approx(11)
    assert found.bytes(10_000) == 10_000 * (20 * 4 + 8) + 1000
    assert "for 10,000; measured in turn with them: 10 s, +10 %" in show.checked_line(Checked(found, 10_000, 10.0))
    assert "another tale" not in show.forecast_line(found, 10_000)
    assert "another tale" in show.forecast_line(found, 10_001)
    # A line through these would begin below nothing.
    bent = line_through({100: 1.0, 200: 2.5, 300: 4.0})
    assert bent.start == 0
    assert bent.per_sample > 0
    with pytest.raises(ValueError, match="two sizes"):
        line_through({100: 1.0})


def test_sizes_are_watched_in_turn_without_what_a_training_takes_to_begin():
    sizes = [measure(Workload(n, 3, (4,)), [], {}, rounds=2, seconds=1, threads=1) for n in (200, 20_000)]
    timings = in_turn(sizes, 3, 10.0, {size.workload.n_samples: size.workload.data() for size in sizes})
    for size, timing in zip(sizes, timings, strict=True):
        # Three rounds, each of at least two stretches.
        assert len(timing.seconds) >= 6
        assert len(timing.seconds) % 3 == 0
        assert 0 < timing.median < 3 * size.ours.timing.median


def test_memory_is_what_the_work_needs(monkeypatch, tmp_path):
    result, grown = memory.with_peak(lambda: float(np.ones(8_000_000).sum()))
    assert result == 8_000_000
    if memory.STATUS.exists():
        assert 60e6 < grown < 80e6
        assert memory.with_peak(lambda: 1)[1] < 5e6
    monkeypatch.setattr(memory, "RESET", tmp_path / "missing" / "file")
    assert memory.with_peak(lambda: 3) == (3, None)


@pytest.mark.parametrize("name", ["numpy", "sklearn"])
def test_peers_do_the_same_work(name):
    workload = Workload(400, 6, (10,), 3, 50, "adam", "float64", "tanh", learning_rate=0.01, passes=20)
    X, y = workload.data()
    ours, theirs = (peer.prepare(workload, X, y, 1)() for peer in (OURS, PEERS[name]))
    assert len(ours) == len(theirs) == 20
    assert ours[-1] < 0.7 * ours[0]
    assert theirs[-1] == pytest.approx(ours[-1], rel=1e-6 if name == "numpy" else 0.3)


def slow(workload, X, y, threads):
    return lambda: [1.0]


def test_those_that_would_take_too_long_are_left_out():
    peers = [Peer("slow", "numpy", slow), Peer("never", "numpy", slow)]
    before = {"slow": Cell("slow", 100, Timing((10.0,))), "never": Cell("never", 100, why="too much memory")}
    size = measure(Workload(1000, hidden=(3,)), peers, before, rounds=2, seconds=5, threads=1)
    assert [cell.why for cell in size.cells] == ["", "too long", "too much memory"]
    assert size.ours.timing.median > 0
    assert size.ours.loss == pytest.approx(np.log(2), rel=0.5)
    size = measure(
        Workload(50_000_000, 1, (1,)), [], {}, rounds=1, seconds=5, threads=1, data=Workload(300, 1, (1,)).data()
    )
    assert size.ours.timing is not None
    large = Workload(1_000_000_000, batch="full")
    size = measure(large, peers, {}, rounds=1, seconds=5, threads=1, data=Workload(300).data())
    assert size.cells[1].why == "too much memory"


def test_the_parts_of_a_step():
    parts = profile(Workload(200, 10, (20,), 3, activation="tanh"), 2)
    assert parts.forward > 0
    assert min(parts.activation, parts.backward, parts.update) >= 0
    line = show.profile_line(parts)
    assert all(name in line for name in ("forward", "activation", "backward", "update"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 us"),
        (2.5e-6, "2.5 us"),
        (1.234e-3, "1.23 ms"),
        (0.9994, "999 ms"),
        (42.0, "42 s"),
        (90, "1.5 min"),
        (7200, "2 h"),
    ],
)
def test_durations(seconds, text):
    assert show.duration(seconds) == text


def run(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments])


def test_the_command(tmp_path):
    files = ["--json", str(tmp_path / "out.json"), "--plot", str(tmp_path / "out.png")]
    options = ["--sizes", "50,100,200,400", "--hidden", "4", "--features", "3", "--against", "numpy,sklearn", "--profile"]
    done = run(*options, "--rounds", "2", "--seconds", "4", *files)
    assert done.exit_code == 0, done.output
    for text in ("3-4-2", "NumPy", "scikit", "400", "Forecast from 50, 100, 200 samples", "A step on one thread"):
        assert text in done.output
    content = json.loads((tmp_path / "out.json").read_text())
    assert [size["workload"]["n_samples"] for size in content["sizes"]] == [50, 100, 200, 400]
    first = content["sizes"][0]["cells"]
    assert [cell["library"] for cell in first] == ["fastmlp", "NumPy reference", "scikit-learn"]
    assert first[1]["ratio"]["low"] <= first[1]["ratio"]["median"] <= first[1]["ratio"]["high"]
    assert first[0]["seconds"] == pytest.approx(np.median(first[0]["rounds"]))
    assert content["machine"]["versions"]["numpy"] == np.__version__
    assert (tmp_path / "out.png").stat().st_size > 5000


def test_a_forecast_without_running_it():
    done = run("--forecast", "n=1e7", "--hidden", "2", "--features", "2", "--rounds", "1", "--seconds", "2")
    assert done.exit_code == 0, done.output
    assert "10,000,000 samples: a pass of about" in done.output.replace("\n", " ")


@pytest.fixture
def table(tmp_path):
    """Three columns, one of them of texts, and classes of which the rarest comes last."""
    path = tmp_path / "table.csv"
    random = np.random.default_rng(0)
    labels = ["common"] * 150 + ["frequent"] * 149 + ["rare"]
    lines = [f"{random.normal():.3f},{random.choice(['red', 'blue'])},{label}" for label in labels]
    path.write_text("\n".join(["x,colour,kind", *lines]) + "\n")
    return path


def test_own_data_have_every_class_from_the_first_rows_on(table):
    X, y, classes = own_data(table, "kind", "float64")
    assert (X.shape, X.dtype, y.dtype, classes) == ((300, 3), np.float64, np.int64, 3)
    assert set(y[:3]) == {0, 1, 2}
    assert np.bincount(y).tolist() == [150, 149, 1]
    assert X[:, 0].std() == pytest.approx(1)
    assert (X[:, 1] + X[:, 2] == 1).all()
    # The rest is shuffled.
    assert 30 < (y[3:100] == 0).sum() < 70


def test_measuring_on_ones_own_table(table):
    done = run("--data", str(table), "--target", "kind", "--against", "numpy", "--seconds", "2", "--rounds", "1")
    assert done.exit_code == 0, done.output
    assert "3-100-3" in done.output
    assert [line.split()[0] for line in done.output.splitlines() if "ms" in line or " us" in line][:2] == ["200", "300"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "{table}"], 2, "--target"),
        (["--target", "kind"], 2, "--data"),
        (["--data", "{table}", "--target", "kind", "--sizes", "200,301"], 2, "has 300 rows"),
        (["--data", "{table}", "--target", "x"], 1, "holds numbers"),
        (["--data", "{table}", "--target", "sort"], 1, "no column 'sort'"),
        (["--data", "none.csv", "--target", "sort"], 1, "no such file"),
    ],
)
def test_tables_that_cannot_be_measured_on(table, arguments, code, message):
    arguments = [argument.format(table=table) for argument in arguments]
    # In a wide terminal, where no box breaks the message.
    done = CliRunner().invoke(app, ["bench", *arguments, "--seconds", "1"], env={"COLUMNS": "300"})
    assert done.exit_code == code
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "few"], "--sizes"),
        (["--hidden", "ten"], "--hidden"),
        (["--batch", "0"], "--batch"),
        (["--dtype", "float16"], "--dtype"),
        (["--solver", "newton"], "--solver"),
        (["--activation", "swish"], "--activation"),
        (["--against", "numpy,theano"], "theano"),
        (["--against", "sklearn", "--solver", "rmsprop"], "sklearn"),
        (["--against", "sklearn", "--activation", "gelu"], "sklearn"),
        (["--forecast", "many"], "--forecast"),
        (["--classes", "1"], "classes"),
    ],
)
def test_wrong_options(arguments, message):
    done = run(*arguments, "--seconds", "1")
    assert done.exit_code == 2
    assert message in done.output


def test_files_that_cannot_be_written_are_told_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--json", str(tmp_path / "file" / "out.json"))
    assert done.exit_code == 1
    assert "file" in done.output
