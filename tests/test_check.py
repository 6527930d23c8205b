"""``fastmlp check``: it holds here, and it can fail: every check does where something is wrong with what it looks at."""

import json
import time

import numpy as np
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from fastmlp import reference
from fastmlp.check import ahead, checks, command, engines, show
from fastmlp.check.accuracy import DTYPES
from fastmlp.check.checks import DIFFERENCES, SECTIONS, Row, carry_out
from fastmlp.check.facts import at_home, facts, lines
from fastmlp.cli import app
from fastmlp.kernels import abreast_run, pointwise, run
from fastmlp.kernels.blocks import HERE
from fastmlp.kernels.orders import draw_orders
from fastmlp.kernels.run import Run
from fastmlp.options import Status
from fastmlp.reference import network
from table import Case

EVERY = [(section, check, dtype) for section in SECTIONS for check in section.checks for dtype in check.bounds]
NAMES = [(section.title, check.what) for section in SECTIONS for check in section.checks]


def invoke(*arguments, columns="80"):
    return CliRunner(env={"COLUMNS": columns}).invoke(app, ["check", *map(str, arguments)])


def section_of(title):
    (found,) = [section for section in SECTIONS if title in section.title]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    file = tmp_path_factory.mktemp("check") / "check.json"
    return invoke("--json", file), file


def test_all_checks_hold_here(whole):
    result, file = whole
    assert result.exit_code == 0, result.output
    assert f"All {len(EVERY)} checks held" in result.output
    assert "FAILED" not in result.output
    told = json.loads(file.read_text())
    assert told["held"]
    assert len(told["checks"]) == len(EVERY) > 100
    assert all(row["holds"] and row["found"] <= row["bound"] and not row["error"] for row in told["checks"])


def test_nothing_is_cut_in_80_columns(whole):
    printed = [line.rstrip() for line in whole[0].output.splitlines()]
    assert max(map(cell_len, printed)) <= 80
    assert "…" not in whole[0].output
    for title, what in NAMES:
        assert any(line.startswith(f"{title}  ") and line.endswith("at most") for line in printed), title
        assert any(line.startswith(f"{what}  ") and line.endswith("  ok") for line in printed), what
    assert len(set(NAMES)) == len(NAMES)


def test_what_it_was_made_with_is_told_first(whole):
    result, file = whole
    told = json.loads(file.read_text())["facts"]
    assert {"fastmlp", "Python", "numpy", "numba", "llvmlite", "scikit-learn"} <= set(told["versions"])
    assert told["lanes"]["float32"] == 2 * told["lanes"]["float64"] >= 4
    assert told["cores"] >= 1
    head = " ".join(result.output.split("elementary functions")[0].split())
    for name in ("versions", "libraries", "system", "processor", "kernels", "BLAS", "settings", "cache"):
        assert name in head
    for said in (*told["versions"].values(), told["processor"], told["llvm_processor"], told["system"], "usable"):
        assert said in head


def test_what_it_has_compiled_is_all_it_needs(whole):
    """So the next one compiles nothing, and no other process is begun for it."""
    assert not ahead.is_needed()


def off(values, factor=1 + 1e-3):
    """Half of them by a part in a thousand: a gradient that is off as a whole leads to the same minimum."""
    values[: len(values) // 2] *= factor


def after(module, name, spoil):
    """A fault: a function of a module, with something done to its result and its arguments after each call."""

    def make(monkeypatch):
        real = getattr(module, name)

        def spoilt(*arguments):
            result = real(*arguments)
            changed = spoil(result, *arguments)
            return result if changed is None else changed

        monkeypatch.setattr(module, name, spoilt)

    return make


def update_off(monkeypatch):
    """Every step is a part in a thousand too long, and the sums of gradients are off as much."""

    def spoilt(real):
        def call(layers, shape, data, state, solver, *others):
            size = len(state.params) // 2
            before = state.params[state.cursor[HERE] :][:size].copy()
            status = real(layers, shape, data, state, solver, *others)
            here = state.params[state.cursor[HERE] :][:size]
            here[:] = before + (here - before) * (1 + 1e-3)
            off(state.moments)
            return status

        return call

    for name in ("run_blocks", "run_slabs"):
        monkeypatch.setattr(run, name, spoilt(getattr(run, name)))


def hides_nan(monkeypatch):
    for name in ("run_blocks", "run_slabs"):
        after(run, name, lambda status, *_: Status.FINISHED if status == Status.DIVERGED else None)(monkeypatch)


def other_bits_with_threads(monkeypatch):
    real = Run._call

    def spoilt(self, rates, losses, until, budget, threads):
        status = real(self, rates, losses, until, budget, threads)
        if threads > 1:
            losses[0] = np.nextafter(losses[0], 7)
        return status

    monkeypatch.setattr(Run, "_call", spoilt)


def other_bits_each_time(monkeypatch):
    calls = []

    def spoil(status, layers, shape, data, state, *others):
        calls.append(None)
        state.params[:1] += np.finfo(state.params.dtype).eps * len(calls)

    for name in ("run_blocks", "run_slabs"):
        after(run, name, spoil)(monkeypatch)


def orders_swapped(result, keys, epoch, rows, n_samples, orders):
    orders[:2] = orders[1::-1].copy()


def reference_off(monkeypatch):
    after(network, "activate_backward", lambda delta, *_: delta * (1 + 1e-6))(monkeypatch)


def no_nan_in_functions(result, function, x, y):
    np.nan_to_num(y, copy=False, nan=0.0)


def all_of(title, *whats):
    return {name for name in NAMES if title in name[0] and (not whats or any(what in name[1] for what in whats))}


# Each with the checks that must fail.
FAULTS = {
    "steps and gradients off": (
        update_off,
        {
            *all_of("two steps"),
            *all_of("20 epochs"),
            *(name for name in all_of("gradients, by") if "predictions" not in name[1]),
        },
    ),
    "functions off": (
        after(pointwise, "evaluate", lambda result, function, x, y: off(y, 1 + 1e-5)),
        all_of("elementary", *("exp", "log", "tanh", "expm1")),
    ),
    "functions without NaN": (after(pointwise, "evaluate", no_nan_in_functions), all_of("elementary", "NaN")),
    "reference off": (reference_off, all_of("finite differences")),
    "predictions off": (
        after(run, "predict", lambda result, layers, shape, params, X, order, scratch, out: off(out)),
        all_of("gradients, by", "predictions"),
    ),
    "infinite rows taken": (after(run, "predict", lambda *_: True), all_of("counted", "in predict")),
    "NaN hidden": (hides_nan, all_of("counted", "NaN in parameters", "divergence")),
    "threads with other bits": (other_bits_with_threads, all_of("counted", "threads")),
    "other bits each time": (other_bits_each_time, all_of("counted", "the same fit", "threads")),
    "nets abreast off": (
        after(abreast_run, "run_abreast", lambda result, layers, shape, data, state, *_: off(state.params, 1 + 1e-7)),
        all_of("counted", "abreast"),
    ),
    "orders swapped": (after(run, "draw_orders", orders_swapped), all_of("counted", "row orders")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault, monkeypatch):
    spoil, must_fail = FAULTS[fault]
    spoil(monkeypatch)
    assert must_fail
    held = [
        (check.what, dtype.__name__)
        for section, check, dtype in EVERY
        if (section.title, check.what) in must_fail and carry_out(section, check, dtype).holds
    ]
    assert held == []


def test_every_check_can_fail():
    assert set.union(*(must_fail for _, must_fail in FAULTS.values())) == set(NAMES)


@pytest.mark.parametrize("found", [np.nan, np.inf, 1.0000001])
def test_what_is_no_number_or_above_its_bound_does_not_hold(found):
    assert not Row("", "", "float64", 1.0, found).holds
    assert Row("", "", "float64", 1.0, 1.0).holds


def test_a_failure_is_told_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTMLP_LANES", raising=False)
    monkeypatch.setattr(command, "SECTIONS", (section_of("elementary"), section_of("two steps")))
    for fault in ("steps and gradients off", "functions off"):
        FAULTS[fault][0](monkeypatch)
    result = invoke("--json", tmp_path / "check.json")
    assert result.exit_code == 1
    told = json.loads((tmp_path / "check.json").read_text())
    failed = [row for row in told["checks"] if not row["holds"]]
    assert not told["held"]
    assert f"{len(failed)} of {len(told['checks'])} checks FAILED" in result.output
    assert "- tanh, float32 (elementary functions, in ulp): " in result.output
    assert "- adam, wide net, float64 (two steps, by the reference): " in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("tanh ")]
    assert line.rstrip().endswith("FAILED")
    for said in ('engine="reference"', "fastmlp cache --clear", "Report it, with all of this output"):
        assert said in result.output
    assert ("FASTMLP_LANES=4 fastmlp check" in result.output) == (facts()["lanes"]["float32"] > 4)


def test_where_the_reference_fails_it_is_not_recommended(monkeypatch):
    monkeypatch.setattr(command, "SECTIONS", (section_of("finite differences"),))
    reference_off(monkeypatch)
    result = invoke()
    assert result.exit_code == 1
    assert "The reference itself failed" in result.output
    assert 'engine="reference"' not in result.output
    assert DIFFERENCES in result.output


def test_forced_lanes_are_to_be_left_away_first(monkeypatch):
    found = {"settings": {"FASTMLP_LANES": "8"}, "lanes": {"float32": 8}, "cache": {"folder": "there"}}
    (line,) = [line for line in show.advice(found, []) if "FASTMLP_LANES" in line]
    assert line == "FASTMLP_LANES=8 is set: check without it."


def test_an_error_fails_its_check_alone(monkeypatch):
    monkeypatch.setattr(command, "SECTIONS", (section_of("elementary"), section_of("finite differences")))

    def broken(*_):
        raise RuntimeError("illegal [bold] instruction")

    monkeypatch.setattr(pointwise, "evaluate", broken)
    result = invoke()
    assert result.exit_code == 1
    assert "- exp, float64 (elementary functions, in ulp): RuntimeError: illegal [bold] instruction" in result.output
    assert "12 of 14 checks FAILED" in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("exp ")]
    assert line.split() == ["exp", "error", "1.1", "error", "1.1", "FAILED"]


@pytest.mark.parametrize("columns", ["30", "50", "200"])
def test_terminals_of_any_width_show_all(monkeypatch, columns):
    monkeypatch.setattr(command, "SECTIONS", (section_of("finite differences"),))
    result = invoke(columns=columns)
    assert "…" not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("with each loss ")]
    assert len(line.split()) == 3 + 4 + 1


@pytest.mark.parametrize("title", ["two steps", "20 epochs", "counted"])
def test_an_interrupt_ends_all(title, monkeypatch):
    """Also where it comes within a training, which would take it for its own."""
    section = section_of(title)
    if title == "20 epochs":
        section = section._replace(checks=tuple(check for check in section.checks if check.what == "lbfgs"))
    if title == "counted":
        section = section._replace(checks=tuple(check for check in section.checks if "abreast" in check.what))
    monkeypatch.setattr(command, "SECTIONS", (section,))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "advance", interrupt)
    result = invoke()
    assert result.exit_code == 130, result.output
    assert "Interrupted." in result.output


def test_a_file_that_cannot_be_written_is_told_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(command, "SECTIONS", ())
    result = invoke("--json", tmp_path / "file" / "check.json")
    assert result.exit_code == 1
    assert "checks held" not in result.output


def test_a_cache_that_is_not_usable_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path / "file"))
    found = facts()
    assert not found["cache"]["usable"]
    assert "NOT USABLE" in dict(lines(found))["cache"]
    assert not ahead.is_needed()


def test_folders_of_the_user_are_told_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert at_home(str(tmp_path / ".cache" / "fastmlp")).replace("\\", "/") == "~/.cache/fastmlp"
    assert at_home("8") == "8"


@pytest.mark.parametrize(("cores", "needed"), [(1, False), (2, True)])
def test_another_process_compiles_where_there_is_a_core_for_it(cores, needed, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTMLP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "available_cores", lambda: cores)
    assert ahead.is_needed() == needed


def test_the_other_process_sees_to_the_other_dtype(monkeypatch, tmp_path):
    mine, file = [], tmp_path / "done"
    monkeypatch.setattr(ahead, "OTHER", f"{ahead.OTHER.split(';')[0]}; open({str(file)!r}, 'w').write('done')")
    monkeypatch.setattr(ahead, "compile_for", mine.append)
    ahead.compile_all()
    assert mine == [np.float32]
    assert file.read_text() == "done"


def test_an_interrupt_while_compiling_leaves_no_process(monkeypatch):
    monkeypatch.setattr(ahead, "OTHER", "import time; time.sleep(60)")
    begun, real = [], ahead.subprocess.Popen

    def begin(*arguments, **options):
        begun.append(real(*arguments, **options))
        return begun[0]

    def interrupt(dtype):
        raise KeyboardInterrupt

    monkeypatch.setattr(ahead.subprocess, "Popen", begin)
    monkeypatch.setattr(ahead, "compile_for", interrupt)
    begin_time = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        ahead.compile_all()
    assert begun[0].poll() is not None
    assert time.perf_counter() - begin_time < 30


def test_compiling_makes_all_checks_of_a_dtype(monkeypatch):
    seen = []
    monkeypatch.setattr(ahead, "carry_out", lambda section, check, dtype: seen.append((section, check, dtype)))
    for dtype in DTYPES:
        ahead.compile_for(dtype)
    assert len(seen) == len(EVERY)


def test_nets_of_the_check_go_abreast(monkeypatch):
    """Else their bits would be those of nets alone without a doubt."""
    calls, real = [], abreast_run.run_abreast
    monkeypatch.setattr(abreast_run, "run_abreast", lambda *arguments: (calls.append(None), real(*arguments))[1])
    for dtype in DTYPES:
        calls.clear()
        assert checks.bits.abreast_that_differ(dtype) == 0
        assert calls


def test_threads_of_the_check_share_the_work():
    for check in section_of("counted").checks[:3]:
        case = check.measure.args[0]
        assert isinstance(case, Case)
        for dtype in DTYPES:
            assert engines.start(case, dtype).X.shape[0] == case.n_samples
            assert checks.bits.begin("kernels", case, engines.start(case, dtype), threads=4).threads == 4


def test_the_reference_is_what_it_is_held_against():
    """Not the kernels themselves: both sides go through `begin`."""
    assert engines.ENGINES["reference"] is reference.Run
    assert engines.ENGINES["kernels"] is Run
    assert run.draw_orders is draw_orders
