"""Checkpoints: the same call again comes to the bits of a training without a break, whatever ended the one before."""

import copy
import runpy
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import batches, checkpoints, fitting, inputs, loop, schedules, train
from fastmlp.lbfgs import HaltedError, Lbfgs
from test_continuing import CASES, EPOCHS, bits, by_case, by_dtype, by_engine

SEEDS = {
    "int": lambda: 7,
    "NumPy's int": lambda: np.int64(7),
    "array": lambda: np.array(7),
    "large": lambda: 1 << 100,
    "Generator": lambda: np.random.default_rng(7),
    "RandomState": lambda: np.random.RandomState(7),
    **{
        name: lambda name=name: np.random.Generator(getattr(np.random, name)(7))
        for name in ("PCG64DXSM", "MT19937", "Philox", "SFC64")
    },
}
# What a generator holds back shows only where it stands between two numbers.
BETWEEN = {
    "integers": lambda seed: seed.integers(9, dtype=np.int32),
    "standard_normal": lambda seed: seed.standard_normal(),
}


pytestmark = pytest.mark.usefixtures("quick_disk")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def settled(options):
    """What a call is asked for, and what makes its seed."""
    options = {"hidden": 4, "batch_size": 16, "learning_rate": 0.03, "epochs": EPOCHS, **options}
    if options.get("solver") in ("rprop", "lbfgs"):
        options["batch_size"] = None
    options.pop("callback", None)
    seed = options.pop("seed", int)
    return options, lambda: seed(7)


def broken(X, y, path, pause=1, error=KeyboardInterrupt, **options):
    """A call that is broken off once it has done so many epochs, or ends before."""
    told = []

    def callback(epoch):
        told.append(epoch)
        if len(told) > pause:
            raise error("enough")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"checkpoint_seconds": 0, "callback": callback, **options}
        try:
            return train(X, y, checkpoint=path, **options)
        except RuntimeError as failed:
            if str(failed) != "enough":
                raise
            return None


def place_of(seed):
    """Where a source of random numbers stands."""
    if isinstance(seed, np.random.RandomState):
        return repr(seed.get_state())
    return repr(seed.bit_generator.state) if isinstance(seed, np.random.Generator) else None


def call_again_and_again(X, y, path, options, make_seed=lambda: 7, pause=1, **more):
    """Calls that each are broken off, until one ends; then one more, which only reads. With what they leave of a seed."""
    calls = 0
    while True:
        calls += 1
        assert calls < 60
        seed = make_seed()
        net = broken(X.copy(), y.copy(), path, pause, seed=seed, **copy.deepcopy(options), **more)
        if net is not None and net.status not in ("interrupted", "out of time"):
            break
    after = make_seed()
    again = train(X, y, checkpoint=path, seed=after, **options)
    assert bits(again) == bits(net)
    assert (again.status, repr(again)) == (net.status, repr(net))
    assert place_of(seed) == place_of(after)
    return net, calls, seed


def check(X, y, path, options, make_seed=lambda: 7, **more):
    """That calls broken off come to what one call does; how many there were."""
    left = make_seed()
    whole = train(X, y, seed=left, **options)
    net, calls, seed = call_again_and_again(X, y, path, options, make_seed, **more)
    assert bits(net) == bits(whole)
    assert (net.status, repr(net)) == (whole.status, repr(whole))
    assert place_of(seed) == place_of(left)
    return calls


@by_case
@pytest.mark.parametrize(("engine", "dtype"), [("kernels", "float32"), ("kernels", "float64"), ("reference", "float32")])
def test_broken_off_after_each_epoch(blobs, path, options, engine, dtype):
    options, make_seed = settled({"dtype": dtype, "engine": engine, **options})
    every = options.pop("callback_every", 1)
    assert check(*blobs, path, options, make_seed) >= (EPOCHS - 3) // every


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("epochs", range(2, EPOCHS + 1))
def test_broken_off_after_some_epochs(blobs, path, epochs, error):
    options, make_seed = settled({**CASES["validation, accuracy"], "patience": 7, "tol": 0.0})
    assert check(*blobs, path, options, make_seed, pause=epochs, error=error) == (EPOCHS - 1) // epochs + 1


@pytest.mark.parametrize("make_seed", SEEDS.values(), ids=SEEDS)
@pytest.mark.parametrize("options", ["dropout", "full batches", "blocks", "validation"])
def test_seeds(blobs, path, options, make_seed):
    check(*blobs, path, settled(CASES[options])[0], make_seed)


@pytest.mark.parametrize("draw", [*BETWEEN.values(), lambda seed: seed.normal()], ids=[*BETWEEN, "normal"])
def test_seeds_between_two_numbers(blobs, path, draw):
    def make_seed():
        seed = (np.random.RandomState if draw not in BETWEEN.values() else np.random.default_rng)(7)
        draw(seed)
        return seed

    check(*blobs, path, settled({"shuffle": "blocks"})[0], make_seed)


@pytest.mark.parametrize("options", ["plain", "validation", "dropout", "lbfgs", "full batches"])
def test_without_a_seed_the_call_goes_on_too(blobs, path, options):
    options = settled(CASES[options])[0]
    first = broken(*blobs, path, 4, **options)
    net = train(*blobs, checkpoint=path, **options)
    assert (first.n_epochs, net.n_epochs, net.status) == (5, EPOCHS, "finished")
    assert net.loss_curve[:4].tobytes() == first.loss_curve[:4].tobytes()
    assert bits(train(*blobs, checkpoint=path, **options)) == bits(net)


@pytest.mark.parametrize("kind", ["values", "counts", "labels", "words", "objects", "truth", "two"])
def test_targets_of_all_kinds(curve, path, kind):
    X, y = curve
    validation = 0.3
    targets, options = {
        "values": (np.column_stack([y, -y]), {"loss": "huber", "metric": "r2"}),
        "counts": (np.floor(np.exp(y)), {"loss": "poisson"}),
        "labels": (np.column_stack([y > 0, y > 0.5]).astype(int), {"metric": "accuracy"}),
        "words": (np.array(["ä", "long", "b"])[np.arange(len(y)) % 3], {}),
        "objects": (np.array(["ä", "long", "b"], object)[np.arange(len(y)) % 3], {"class_weight": {"ä": 2.0}}),
        "truth": (y > 0.5, {"loss": "binary_cross_entropy"}),
        "two": (np.where(y > 0.5, -2.5, 1e300), {"loss": "cross_entropy"}),
    }[kind]
    check(X, targets, path, settled({"validation": validation, **options})[0])
    net = train(X, targets, checkpoint=path, seed=7, **settled({"validation": validation, **options})[0])
    if net.classes is not None:
        assert net.classes.dtype == targets.dtype
        assert set(net.predict(X)) <= set(targets)


@pytest.mark.parametrize("options", ["plain", "RandomState", "blocks", "validation, accuracy", "lbfgs"])
@by_engine
def test_streamed_rows(blobs, path, monkeypatch, options, engine):
    monkeypatch.setattr(inputs, "LARGEST_COPY", 0)
    monkeypatch.setattr(batches, "BYTES_READ_AT_ONCE", 40 * 2 * 4)
    monkeypatch.setattr(checkpoints, "BYTES_CHECKED_AT_ONCE", 100)
    options, make_seed = settled({"dtype": "float32", "engine": engine, **CASES[options]})
    check(*blobs, path, options, make_seed)
    other = blobs[0].copy()
    # Whichever row it is.
    for row in (0, 1, 44, 89):
        other[row, 1] += 1
        with pytest.raises(ValueError, match="is of a training with another X; ask for the same"):
            train(other, blobs[1], checkpoint=path, seed=make_seed(), **options)
        other[row, 1] -= 1


@pytest.mark.parametrize("options", ["plain", "RandomState", "blocks", "validation, accuracy", "patience", "lbfgs"])
@pytest.mark.parametrize("ahead", [1, 200, 1 << 18])
@pytest.mark.parametrize("seconds", [1e-9, 10])
def test_chunks_and_draws_ahead_do_not_show(blobs, path, monkeypatch, options, ahead, seconds):
    options, make_seed = settled(CASES[options])
    whole = train(*blobs, seed=make_seed(), **options)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", seconds)
    monkeypatch.setattr(batches, "ROWS_DRAWN_AHEAD", ahead)
    net, _, _ = call_again_and_again(*blobs, path, options, make_seed, pause=2)
    assert bits(net) == bits(whole)


def test_it_is_written_after_each_epoch_where_that_is_wanted(blobs, path, monkeypatch):
    written = []
    monkeypatch.setattr(checkpoints.Checkpoint, "write", lambda self, net, *_, **__: written.append(net.n_epochs))
    options = settled({})[0]
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)
    train(*blobs, checkpoint=path, checkpoint_seconds=0, **options)
    assert written == [*range(1, EPOCHS + 1), EPOCHS]
    written.clear()
    # Else at the end alone, since it has not taken so long.
    train(*blobs, checkpoint=path, **options)
    assert written == [EPOCHS]


@by_engine
@pytest.mark.parametrize("validation", [None, 0.3])
def test_adaptive_rates(blobs, path, engine, validation):
    options = {
        "solver": "sgd", "learning_rate": 0.1, "schedule": schedules.adaptive(decay=0.2, least=1e-5), "patience": 2,
        "tol": 0.05, "engine": engine, "validation": validation, "epochs": 14, "hidden": 4, "batch_size": 16,
    }  # fmt: skip
    check(*blobs, path, options)


@by_engine
@pytest.mark.parametrize(
    "options", ["plain", "cosine", "invscaling", "RandomState", "validation, patience", "lbfgs", "dropout"]
)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_going_on_from_a_net(blobs, path, tmp_path, options, is_loaded, engine):
    """With its own random numbers, and with others."""
    options, make_seed = settled({**CASES[options], "engine": engine})
    start = train(*blobs, seed=make_seed(), **{**options, "epochs": 3})
    if is_loaded:
        start = fastmlp.load(start.save(tmp_path / "start", training=True))
    options["epochs"] = 6
    check(*blobs, path, {**options, "start": start}, lambda: None)
    path.unlink()
    check(*blobs, path, {**options, "start": start}, make_seed)
    bare = fastmlp.load(start.save(tmp_path / "bare"))
    with pytest.raises(ValueError, match="another start"):
        train(*blobs, checkpoint=path, seed=make_seed(), **options, start=bare)


def test_ends_are_ends(blobs, path):
    """A net that nothing is left to be done for is given out again as it is."""
    options = settled({})[0]
    net = train(*blobs, checkpoint=path, callback=lambda epoch: epoch.epoch == 4, **options, seed=1)
    assert (net.status, net.n_epochs) == ("stopped by callback", 4)
    calls = []
    again = train(*blobs, checkpoint=path, callback=calls.append, **options, seed=1)
    assert (again.status, calls, bits(again)) == (net.status, [], bits(net))
    # And can be gone on from.
    further = train(*blobs, **{**options, "epochs": EPOCHS - 4}, start=again)
    assert bits(further) == bits(train(*blobs, **options, seed=1))


@by_dtype
@by_engine
@pytest.mark.parametrize("rate", ["large", "largest"])
def test_divergence_is_an_end(curve, path, monkeypatch, dtype, engine, rate):
    """Its warning comes again, and it is come to from any epoch: the net before the last update is given out."""
    options = {
        "hidden": (), "solver": "sgd", "batch_size": None, "dtype": dtype, "engine": engine, "epochs": EPOCHS, "seed": 1,
        "learning_rate": 0.9 * float(np.finfo(dtype).max) ** (1 / 8 if rate == "large" else 1),
        # Chunks end where epochs do.
        "callback": lambda epoch: None,
    }  # fmt: skip
    X, y = curve
    y = y if rate == "large" else 100 * y
    with pytest.warns(RuntimeWarning, match="the objective is not finite in epoch") as told:
        whole = train(X, y, **options)
    assert 2 < whole.n_epochs < EPOCHS if rate == "large" else whole.n_epochs == 1
    keep = checkpoints.Keeper.__call__
    for epochs in range(1, whole.n_epochs + 1):

        def keep_and_die(self, loop, epochs=epochs):
            keep(self, loop)
            if loop.done == epochs:
                raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.Keeper, "__call__", keep_and_die)
            with pytest.raises(SystemExit):
                train(X, y, checkpoint=path, checkpoint_seconds=0, **options)
        # Parameters that are infinite are not written.
        assert path.exists() == (rate == "large")
        for _ in range(2):
            with pytest.warns(RuntimeWarning) as again:
                net = train(X, y, checkpoint=path, checkpoint_seconds=0, **options)
            assert (bits(net), net.status) == (bits(whole), "diverged")
            assert [str(one.message) for one in again] == [str(one.message) for one in told]
        path.unlink()


def test_scores_that_are_not_finite_are_kept(blobs, path):
    def scored(wanted, predicted):
        scored.calls += 1
        return [-np.inf, np.nan, -np.inf, 1.0][min(3, scored.calls - 1)]

    options = settled({"validation": 0.3})[0]
    scored.calls = 0
    whole = train(*blobs, seed=1, metric=scored, **options)
    scored.calls = 0
    broken(*blobs, path, 3, seed=1, metric=scored, **options)
    scored.calls = 3
    net = train(*blobs, seed=1, metric=scored, checkpoint=path, **options)
    assert bits(net) == bits(whole)
    assert whole.best_epoch == 4


@pytest.mark.parametrize("options", ["plain", "validation", "RandomState", "rprop", "lbfgs"])
def test_too_little_time_again_and_again(blobs, path, options):
    options, make_seed = settled(CASES[options])
    whole = train(*blobs, seed=make_seed(), **options)
    for _ in range(60):
        net = train(*blobs, seed=make_seed(), checkpoint=path, max_seconds=1e-6, **options)
        if net.n_epochs == EPOCHS:
            break
        assert net.status == "out of time"
    net = train(*blobs, seed=make_seed(), checkpoint=path, **options)
    assert (bits(net), net.status) == (bits(whole), whole.status)


def test_time_that_ends_while_iterations_are_made_again(blobs, path, monkeypatch):
    """L-BFGS repeats those of the calls before: they are no fewer where that is broken off."""
    options = settled(CASES["lbfgs"])[0]
    whole = train(*blobs, seed=1, **options)
    broken(*blobs, path, 5, seed=1, **options)
    evaluate, calls = Lbfgs._objective_and_gradient, []

    def halted(self, x):
        calls.append(1)
        if len(calls) > 3:
            self.status = "out of time"
            raise HaltedError
        return evaluate(self, x)

    monkeypatch.setattr(Lbfgs, "_objective_and_gradient", halted)
    net = train(*blobs, seed=1, checkpoint=path, **options)
    assert (net.status, net.n_epochs) == ("out of time", 5)
    monkeypatch.setattr(Lbfgs, "_objective_and_gradient", evaluate)
    assert bits(train(*blobs, seed=1, checkpoint=path, **options)) == bits(whole)
    # And so for those who go on from such a net by themselves.
    assert bits(train(*blobs, start=net, **{**options, "epochs": EPOCHS - 5})) == bits(whole)


def test_evaluations_that_are_used_up_are_told_of_alike(blobs, path):
    options = {**settled(CASES["lbfgs"])[0], "max_fun": 8, "seed": 1}
    with pytest.warns(RuntimeWarning, match="for max_fun=8") as told:
        whole = train(*blobs, **options)
    broken(*blobs, path, 3, **options)
    with pytest.warns(RuntimeWarning) as again:
        net = train(*blobs, checkpoint=path, **options)
    assert bits(net) == bits(whole)
    assert [str(one.message) for one in again] == [str(one.message) for one in told]


@by_case
@by_engine
def test_interrupted_before_the_first_epoch(blobs, path, monkeypatch, options, engine):
    """While kernels compile: what has been drawn is kept."""
    from fastmlp import reference
    from fastmlp.kernels.run import Run

    def interrupted(self):
        raise KeyboardInterrupt

    options, make_seed = settled({**options, "engine": engine})
    options.pop("callback_every", None)
    whole = train(*blobs, seed=make_seed(), **options)
    with monkeypatch.context() as patch:
        patch.setattr({"kernels": Run, "reference": reference.Run}[engine], "is_compiled", False)
        patch.setattr({"kernels": Run, "reference": reference.Run}[engine], "compile", interrupted)
        with pytest.warns(RuntimeWarning, match="interrupted in epoch 1 of 9"):
            train(*blobs, seed=make_seed(), checkpoint=path, **options)
    assert fastmlp.load(path).n_epochs == 0
    assert bits(train(*blobs, seed=make_seed(), checkpoint=path, **options)) == bits(whole)


@pytest.mark.parametrize("schedule", [None, "constant", "cosine", "step", "adaptive", "invscaling"])
def test_killed_between_the_last_epoch_and_the_end(blobs, path, monkeypatch, schedule):
    options = {"hidden": 3, "epochs": 4, "schedule": schedule, "seed": 1}
    whole = train(*blobs, **options)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Keeper, "end", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            train(*blobs, checkpoint=path, checkpoint_seconds=0, callback=lambda epoch: None, **options)
    assert fastmlp.load(path).n_epochs == 4
    assert bits(train(*blobs, checkpoint=path, **options)) == bits(whole)


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("validation", [None, 0.3])
def test_least_numbers(blobs, path, epochs, patience, validation):
    check(*blobs, path, {"hidden": (), "epochs": epochs, "patience": patience, "validation": validation, "tol": 9.0})


@pytest.mark.parametrize("when", ["begin", "middle"])
@by_engine
def test_interrupted_within_an_epoch(blobs, path, monkeypatch, engine, when):
    """What had been reached at the end of the one before is what is gone on from."""
    from fastmlp import reference
    from fastmlp.kernels.run import Run

    options, make_seed = settled({**CASES["RandomState"], "engine": engine, "batch_size": 5})
    whole = train(*blobs, seed=make_seed(), **options)
    run = {"kernels": Run, "reference": reference.Run}[engine]
    advance, calls = run.advance, []

    def a_little(self, rates, losses, until, budget):
        calls.append(1)
        if len(calls) > (0 if when == "begin" else 30):
            raise KeyboardInterrupt
        return advance(self, rates, losses, until, 1)

    monkeypatch.setattr(run, "advance", a_little)
    with pytest.warns(RuntimeWarning, match="interrupted in epoch"):
        net = train(*blobs, seed=make_seed(), checkpoint=path, **options)
    assert net.n_epochs == (0 if when == "begin" else 1)
    assert path.exists() == (when == "middle")
    monkeypatch.setattr(run, "advance", advance)
    assert bits(train(*blobs, seed=make_seed(), checkpoint=path, **options)) == bits(whole)


def test_an_error_leaves_what_was_in_memory(blobs, path):
    """Though it was not yet time to write."""
    options = settled({"dropout": 0.3})[0]
    broken(*blobs, path, 4, error=RuntimeError, seed=1, checkpoint_seconds=1e6, **options)
    assert fastmlp.load(path).n_epochs >= 1
    assert bits(train(*blobs, checkpoint=path, seed=1, **options)) == bits(train(*blobs, seed=1, **options))


def test_ctrl_c_after_the_last_epoch_is_not_told_of_again(blobs, path, interrupts):
    options = settled({"callback": None})[0]
    with pytest.warns(RuntimeWarning, match=r"interrupted when training had ended \(finished\)"):
        net = train(*blobs, seed=1, checkpoint=path, callback=lambda epoch: last(epoch), **options)
    assert net.status == "finished"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bits(train(*blobs, seed=1, checkpoint=path, **options)) == bits(net)


def last(epoch):
    """Ctrl-C that is heard when the callback of the last epoch has come back."""
    if epoch.epoch == EPOCHS:
        sys._getframe(2).f_locals["job"].interrupts.heard = True


def test_a_process_that_is_killed(path, tmp_path, monkeypatch, capsys):
    """Again and again, wherever it is at; the kernels are compiled before the first."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        import numpy as np
        from fastmlp import train

        random = np.random.default_rng(3)
        X, seed = random.standard_normal((400, 3)), np.random.RandomState(5)
        where = dict(checkpoint=sys.argv[1], checkpoint_seconds=0) if len(sys.argv) > 2 else {}
        net = train(X, (X[:, 0] > 0) + 0, 8, epochs=300, batch_size=32, dropout=0.2, validation=0.2, seed=seed,
                    callback=lambda epoch: print(epoch.epoch, flush=True), **where)
        np.save(sys.argv[1] + ".npy", np.concatenate([net.params, net.loss_curve, net.validation_curve, [seed.uniform()]]))
        """)
    )

    def run():
        return subprocess.Popen([sys.executable, script, path, "checkpoint"], stdout=subprocess.PIPE, text=True)

    whole = tmp_path / "whole"
    monkeypatch.setattr(sys, "argv", ["script", str(whole)])
    runpy.run_path(str(script))
    for after in (20, 60):
        process, begun = run(), []
        for _ in range(after):
            begun.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # It went on from where the one before was, whose last epoch may not have come to the disk.
        assert begun[0] == 1 or begun[0] >= 20
    process = run()
    assert int(process.stdout.readline()) >= 60
    process.communicate(timeout=100)
    assert Path(f"{path}.npy").read_bytes() == Path(f"{whole}.npy").read_bytes()


def test_two_at_once_on_files_of_their_own(blobs, tmp_path):
    options = settled({"epochs": 60, "dropout": 0.2})[0]
    found = {}

    def work(seed):
        path = tmp_path / f"{seed}.safetensors"
        net = train(*blobs, seed=seed, checkpoint=path, max_seconds=1e-6, **options)
        assert net.status == "out of time"
        found[seed] = bits(train(*blobs, seed=seed, checkpoint=path, checkpoint_seconds=0, **options))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == {seed: bits(train(*blobs, seed=seed, **options)) for seed in range(3)}


def test_it_costs_little_where_a_net_is_large(path, monkeypatch):
    """What is kept in memory takes no more than its share of the time, however often it may be kept."""
    monkeypatch.setattr(checkpoints, "SECONDS_IN_MEMORY", 0.0)
    reach, reached = fitting.reached_by, []

    def slow(loop, drawn):
        reached.append(loop.done)
        time.sleep(0.05)
        return reach(loop, drawn)

    monkeypatch.setattr(fitting, "reached_by", slow)
    X = np.random.default_rng(3).standard_normal((100, 100)).astype(np.float32)
    train(X, X[:, :1], 1000, epochs=20, checkpoint=path, callback=lambda epoch: time.sleep(0.001), seed=0)
    # At the first, and at the end; the next would be due after 2.5 seconds.
    assert len(reached) <= 3
    # Parameters, those before the last update, and two moments.
    assert path.stat().st_size < 5.1 * 4 * 102_001
