"""How sweeps end: with nets that fail or diverge, by Ctrl-C, time and callbacks; in how much memory; and side by side."""

import json
import multiprocessing
import os
import signal
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastmlp import Sweep, train, train_many
from fastmlp.sweep import abreast
from resident import linux_alone, told_by
from sweeps import LANES, samples, spied, told

X, Y = samples("classes")
# Nets that go abreast, and such as do not: few nets of many kinds, or larger ones.
KINDS = {
    "abreast": {"hidden": 3, "batch_size": 16, "activation": "tanh", "l2": 0.01},
    "alone": {"hidden": 12, "batch_size": 30, "activation": "tanh", "l2": 0.01, "dropout": 0.2},
}
by_kind = pytest.mark.parametrize("kind", KINDS)
# More than there is time for.
LONG = 300_000
# Where an interrupt is lost a test fails; it does not wait for ever.
WAITED_AT_MOST = 20
pytestmark = pytest.mark.usefixtures("interrupts")


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Kernels are there before anything is timed."""
    for options in KINDS.values():
        train_many(X, Y, [{}] * LANES["float64"], epochs=1, **options)


def left():
    """Threads of sweeps that are still there; other tests may have left some of their own."""
    return [thread.name for thread in threading.enumerate() if "(_work)" in thread.name]


POISON = [
    ({"learning_rate": 1e200}, None),
    ({"learning_rate": 1e250, "solver": "sgd"}, None),
    ({"init": ([np.full((3, 3), np.nan), np.ones((3, 3))], [np.zeros(3), np.zeros(3)]), "hidden": 3}, "init: weights[0] h"),
    ({"activation": "sigmoid"}, "activation='sigmoid' is unknown: choose one of"),
    ({"l2": -1.0}, "l2=-1.0: give a finite number from 0 on"),
    ({"learning_rat": 1.0}, "learning_rat: train has no such parameter; did you mean 'learning_rate'?"),
    ({"batch_size": 1.5}, "batch_size=1.5: give a whole number from 1 on"),
    ({"callback": lambda epoch: 1 / 0}, "division by zero"),
]


@pytest.fixture(scope="module")
def clean():
    """The nets of each kind, trained alone."""
    return {kind: [told(train(X, Y, seed=s, epochs=4, **options)) for s in range(64)] for kind, options in KINDS.items()}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("n_poisoned", [1, 2, 8, 32])
@by_kind
def test_nets_that_fail_or_diverge_leave_the_others_as_they_are(kind, n_poisoned, threads, clean, monkeypatch):
    groups, random = spied(monkeypatch), np.random.default_rng(n_poisoned)
    places = np.sort(random.permutation(64)[:n_poisoned]).tolist()
    poison = {place: POISON[(turn + threads) % len(POISON)] for turn, place in enumerate(places)}
    configs = [{"seed": place, **poison.get(place, ({},))[0]} for place in range(64)]
    with pytest.warns(RuntimeWarning) as warned:
        sweep = train_many(X, Y, configs, threads=threads, epochs=4, **KINDS[kind])
    failed = [place for place in places if poison[place][1] is not None]
    diverged = [place for place in places if poison[place][1] is None]
    for place in range(64):
        if place not in poison:
            assert told(sweep[place]) == clean[kind][place]
    assert sorted(sweep.errors) == failed
    for place in failed:
        assert sweep.statuses[place] == "failed"
        assert sweep[place] is None
        assert poison[place][1] in str(sweep.errors[place])
    for place in diverged:
        assert sweep.statuses[place] == sweep[place].status == "diverged"
        assert np.isfinite(sweep[place].params).all()
    messages = [str(warning.message) for warning in warned]
    assert len(messages) == bool(failed) + bool(diverged)
    assert not failed or messages[0].startswith(f"{len(failed)} of 64 nets failed, see Sweep.errors; the first, configs[")
    assert sorted(sweep.messages) == diverged
    if diverged:
        first = f"configs[{diverged[0]}]: the objective is not finite in epoch "
        assert messages[-1].startswith(f"{len(diverged)} of 64 nets diverged, see Sweep.messages; the first, {first}")
        assert "lower learning_rate" in messages[-1]
    assert {warning.filename for warning in warned} == {__file__}
    assert (len(groups) > 2) == (kind == "abreast")


@pytest.mark.parametrize("wrong", [[0], [7], list(range(1, 64)), list(range(64))], ids=len)
def test_groups_in_which_nets_diverge_at_once(wrong, monkeypatch):
    """The first one of a group, the last, all but one, all."""
    groups, rng = spied(monkeypatch), np.random.default_rng(0)
    values = X @ rng.standard_normal(3)
    configs = [{"seed": place, "learning_rate": 1e30 if place in wrong else 0.01} for place in range(64)]
    common = {"hidden": 3, "batch_size": 16, "solver": "sgd", "activation": "relu", "epochs": 3}
    with pytest.warns(RuntimeWarning, match=f"^{len(wrong)} of 64 nets diverged"):
        sweep = train_many(X, values, configs, **common)
    assert [place for place, status in enumerate(sweep.statuses) if status == "diverged"] == wrong
    assert len(groups) == 64 // LANES["float64"]
    for place in {0, 7, 9, 63} - set(wrong):
        assert told(sweep[place]) == told(train(X, values, **common, **configs[place]))


def test_an_error_within_a_group_ends_the_sweep_and_is_raised(monkeypatch):
    """It is nobody's fault but ours."""
    monkeypatch.setattr(abreast.Trainings, "train", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_many(X, Y, [{}] * 64, epochs=3, threads=2, **KINDS["abreast"])
    assert left() == []


def pressed_after(seconds):
    """Press Ctrl-C from another thread; a list that will hold when."""
    when = []

    def press():
        when.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, press)
    timer.start()
    return timer, when


@pytest.mark.filterwarnings("ignore:.* nets were interrupted:RuntimeWarning")
@by_kind
@pytest.mark.parametrize(("n_nets", "threads"), [(1, 1), (1, 2), (1000, 1), (1000, 2)])
def test_an_interrupt_returns_what_there_is(kind, n_nets, threads):
    # The costliest nets are begun first: the others have a thread where there are two, and but one net that is long.
    short = [{"seed": place, "epochs": 2} for place in range(20)] if (threads, n_nets) == (2, 1) else []
    configs = [*short, *({"seed": place, "epochs": LONG} for place in range(n_nets))]
    timer, when = pressed_after(0.4)
    with pytest.warns(RuntimeWarning, match="not begun") if n_nets > 9 + 9 * threads else warnings.catch_warnings():
        sweep = train_many(X, Y, configs, threads=threads, max_seconds=WAITED_AT_MOST, **KINDS[kind])
    took = time.monotonic() - when[0]
    timer.join()
    # Half a second, or more on a busy machine.
    assert took < 2
    assert left() == []
    assert isinstance(sweep, Sweep)
    for place, net in enumerate(sweep[: len(short)]):
        assert told(net) == told(train(X, Y, **KINDS[kind], **configs[place]))
    rest = sweep.statuses[len(short) :]
    assert set(rest) == {"interrupted"}
    begun = [net for net in sweep[len(short) :] if net is not None]
    assert begun
    for net in begun[:1]:
        assert 0 < net.n_epochs < LONG
        assert net.status == "interrupted"
        whole = train(X, Y, **KINDS[kind], seed=0, epochs=net.n_epochs)
        assert net.loss_curve.tobytes() == whole.loss_curve.tobytes()
    if n_nets == 1000:
        assert len(begun) <= threads * (1 if kind == "alone" else LANES["float64"])


def test_an_interrupt_warns_of_nets_that_it_cut_off_and_of_those_not_begun():
    timer, _ = pressed_after(0.2)
    with pytest.warns(RuntimeWarning, match="interrupted") as warned:
        train_many(X, Y, [{}] * 100, epochs=LONG, threads=1, max_seconds=WAITED_AT_MOST, **KINDS["alone"])
    timer.join()
    assert [str(warning.message) for warning in warned] == [
        "1 of 100 nets were interrupted: they are as far as they had come",
        "99 of 100 nets were not begun: interrupted",
    ]
    assert warned[0].filename == __file__


@by_kind
def test_a_limit_of_time(kind):
    configs = [{"seed": place, "epochs": LONG} for place in range(40)]
    begin = time.monotonic()
    with pytest.warns(RuntimeWarning, match=r"^\d+ of 40 nets were not begun: out of time$"):
        sweep = train_many(X, Y, configs, threads=2, max_seconds=0.2, **KINDS[kind])
    assert 0.2 < time.monotonic() - begin < 2.2
    assert left() == []
    assert set(sweep.statuses) == {"out of time"}
    begun = [(place, net) for place, net in enumerate(sweep) if net is not None]
    assert len(begun) in ((1, 2) if kind == "alone" else (LANES["float64"], 2 * LANES["float64"]))
    for place, net in begun[:2]:
        assert net.status == "out of time"
        whole = train(X, Y, **KINDS[kind], seed=place, epochs=net.n_epochs)
        assert net.loss_curve.tobytes() == whole.loss_curve.tobytes()


@by_kind
@pytest.mark.parametrize("threads", [1, 2])
def test_time_enough_changes_nothing(kind, threads):
    configs = [{"seed": place} for place in range(20)]
    ours, theirs = (
        train_many(X, Y, configs, epochs=3, threads=threads, **KINDS[kind], **limit) for limit in ({"max_seconds": 60}, {})
    )
    assert [told(net) for net in ours] == [told(net) for net in theirs]


@by_kind
@pytest.mark.parametrize("threads", [1, 2])
def test_the_callback_is_told_of_every_net_once(kind, threads):
    heard = []
    configs = [{"seed": place} for place in range(40)]
    configs[3], configs[4] = {"l2": -1}, {"batch_size": 0}
    with pytest.warns(RuntimeWarning, match="^2 of 40 nets failed"):
        sweep = train_many(X, Y, configs, epochs=3, threads=threads, callback=heard.append, **KINDS[kind])
    assert sorted(outcome.place for outcome in heard) == list(range(40))
    for outcome in heard:
        assert outcome.network is sweep[outcome.place]
        assert outcome.status == sweep.statuses[outcome.place]
        assert outcome.error is sweep.errors.get(outcome.place)
        assert outcome.seconds == sweep.seconds[outcome.place]
    assert (sweep.seconds[5:] > 0).all()


@by_kind
@pytest.mark.parametrize("word", [True, np.True_])
def test_the_callback_can_end_the_sweep(kind, word):
    heard = []

    def enough(outcome):
        heard.append(outcome.place)
        return word if len(heard) == 3 else None

    configs = [{"seed": place, "epochs": LONG if place == 3 else 2_000} for place in range(48)]
    with pytest.warns(RuntimeWarning, match=r"^\d+ of 48 nets were not begun: stopped by callback$"):
        sweep = train_many(X, Y, configs, callback=enough, threads=2, **KINDS[kind])
    assert left() == []
    assert sweep.statuses[3] == "stopped by callback"
    assert sweep[3].status == "stopped by callback"
    assert sorted(heard) == [place for place in range(48) if sweep[place] is not None]
    assert set(sweep.statuses) == {"finished", "stopped by callback"}
    assert len(heard) >= 3
    # Other words are none.
    for other in (1, "stop", None, False):
        assert (
            train_many(X, Y, [{}] * 9, epochs=1, callback=lambda _, w=other: w, **KINDS[kind]).statuses == ["finished"] * 9
        )


@by_kind
@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_what_the_callback_raises_is_raised(kind, error):
    def fail(outcome):
        raise error("mine")

    configs = [{"epochs": LONG}, *[{"epochs": 2}] * 20]
    with pytest.raises(error, match="mine"):
        train_many(X, Y, configs, callback=fail, threads=2, **KINDS[kind])
    assert left() == []


@pytest.mark.filterwarnings("ignore:.* nets were interrupted:RuntimeWarning")
def test_an_interrupt_in_a_callback_is_one_of_the_sweep():
    def press(outcome):
        raise KeyboardInterrupt

    configs = [{"epochs": LONG}, {"epochs": 2}]
    sweep = train_many(X, Y, configs, callback=press, threads=2, **KINDS["alone"])
    assert sweep.statuses == ["interrupted", "finished"]
    assert left() == []


@pytest.mark.filterwarnings("ignore:.* nets were interrupted:RuntimeWarning")
def test_an_interrupt_in_a_net_ends_the_sweep():
    def press(epoch):
        raise KeyboardInterrupt

    sweep = train_many(X, Y, [{"callback": press}, {"epochs": 2}], threads=1, **KINDS["alone"])
    assert sweep.statuses[0] == "interrupted"
    assert left() == []


def small(seed):
    return [told(net) for net in train_many(X, Y, [{"seed": seed + k} for k in range(20)], epochs=3, **KINDS["abreast"])]


def test_sweeps_side_by_side():
    wanted = [small(20 * place) for place in range(6)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(small, range(0, 120, 20))) == wanted
        assert list(pool.map(small, range(0, 120, 20))) == wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_child_trains_many_too(busy):
    """Also where another thread had its turn when it was forked."""
    wanted = small(3)
    held, release = threading.Event(), threading.Event()

    def hold():
        with abreast.TURN:
            held.set()
            release.wait(60)

    other = threading.Thread(target=hold)
    if busy:
        other.start()
        held.wait()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        release.set()
        assert pool.apply_async(small, (3,)).get(30) == wanted
    if busy:
        other.join()


# Trains a sweep; prints by how much memory that is no file's has grown at most, and what the nets take, in bytes.
SCRIPT = """
import json, pickle, sys
import numpy as np
import fastmlp
from resident import Watch

n_samples, n_features, n_nets, n_folds, options, threads = json.loads(sys.argv[1])
random = np.random.default_rng(0)
X = random.standard_normal((n_samples, n_features), dtype=np.float32)
y = random.integers(0, 2, n_samples)
folds = [np.flatnonzero(np.arange(n_samples) % n_folds != place) for place in range(n_folds)]
rows = [folds[place % n_folds] for place in range(n_nets)] if folds else None
configs = [{"seed": place} for place in range(n_nets)]
few = slice(0, 2000)
fastmlp.train_many(X[few], y[few], configs[:40], threads=threads, **{**options, "epochs": 1})
with Watch() as watch:
    sweep = fastmlp.train_many(X, y, configs, rows=rows, threads=threads, **options)
assert set(sweep.statuses) == {"finished"}
nets = sum(len(pickle.dumps(net)) for net in sweep)
print(json.dumps([watch.grown, nets]))
"""


@linux_alone
@pytest.mark.parametrize(
    ("case", "beside"),
    [
        # Of the rows of a net its own order and the next one, 4 bytes each, in each thread; and all labels.
        ((500_000, 50, 12, 4, {"hidden": 64, "epochs": 1, "batch_size": 500}, 2), 375_000 * 8 * 2 + 500_000 * 4),
        # Small nets on so many rows are trained alone: abreast they would have them once more.
        ((500_000, 50, 32, 4, {"hidden": 4, "epochs": 1, "batch_size": 50}, 1), 375_000 * 8 + 500_000 * 4),
        ((200, 4, 4000, 0, {"hidden": 3, "epochs": 1, "batch_size": 20}, 2), 0),
    ],
    ids=["folds", "small nets", "thousands"],
)
def test_memory(case, beside):
    grown, nets = told_by(SCRIPT, json.dumps(case))
    print(f"grown by {grown / 1e6:.1f} MB, nets {nets / 1e6:.1f} MB, beside {beside / 1e6:.1f} MB")
    assert grown < 8_000_000 + nets + beside
