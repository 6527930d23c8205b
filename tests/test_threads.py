"""Threads inside one run: the same bits for any number of them, and no hang whatever happens."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, active_count

import numpy as np
import pytest

from fastmlp import train
from fastmlp.kernels import run as running
from fastmlp.kernels.blocks import plan
from fastmlp.kernels.run import available_cores, suitable_threads, together
from fastmlp.options import Activation, Loss, Status
from table import TOGETHER, WHOLE, Case, begin, bits, start, trained

# Parts of a narrow net, with remainders; blocks of a wide net's slab; several slabs; more threads than shares.
SHAPES = [
    ((2, 3, 2), 9_001, None),
    ((4, 32, 16, 4), 5_000, 3_000),
    ((30, 64, 64, 2), 700, 256),
    ((64, 100, 10), 1_300, None),
    # Wide: layers shared by units and by inputs, and slabs of a batch, of one layout and gathered.
    ((50, 700, 3), 333, 200),
    ((100, 200, 70, 150, 5), 1_100, None),
    ((100, 200, 70, 150, 5), 1_100, 600),
    ((20, 600, 3), 333, 200),
    ((33, 5, 40, 4), 130, 65),
    ((2, 3, 2), 1, None),
]


def fitted(sizes, n_samples, batch_size, dtype, threads, epochs=3):
    random = np.random.default_rng(1)
    X = random.standard_normal((n_samples, sizes[0])).astype(dtype)
    y = np.arange(n_samples) % sizes[-1] if n_samples > 1 else X[:, 0]
    net = train(
        X, y, sizes[1:-1], activation="tanh", l2=1e-3, batch_size=batch_size, epochs=epochs, seed=0, threads=threads
    )
    return net.params.tobytes() + net.loss_curve.tobytes()


REFITS = 10


@pytest.mark.parametrize(("sizes", "n_samples", "batch_size"), [SHAPES[2], SHAPES[4]])
def test_bits_are_the_same_in_every_refit(sizes, n_samples, batch_size):
    alone = fitted(sizes, n_samples, batch_size, np.float32, 1)
    for threads in (1, 2, 3, 4, 7):
        for _ in range(REFITS):
            assert fitted(sizes, n_samples, batch_size, np.float32, threads) == alone


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("sizes", "n_samples", "batch_size"), SHAPES)
def test_bits_do_not_depend_on_the_number_of_threads(sizes, n_samples, batch_size, dtype):
    alone = fitted(sizes, n_samples, batch_size, dtype, 1)
    for threads in (2, 3, 4, 7, None):
        for _ in range(2):
            assert fitted(sizes, n_samples, batch_size, dtype, threads) == alone


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", TOGETHER, ids=str)
def test_no_option_makes_bits_depend_on_the_number_of_threads(case, dtype):
    given = start(case, dtype, epochs=2)
    alone = bits(*trained("kernels", case, given, 2, 2.0**-7))
    for threads, budget in ((2, WHOLE), (4, WHOLE), (4, 3)):
        run, losses = trained("kernels", case, given, 2, 2.0**-7, budget, threads=threads)
        assert run.threads == threads
        assert bits(run, losses) == alone


@pytest.mark.parametrize(("sizes", "n_samples"), [((2, 3, 2), 5_000), ((30, 64, 64, 2), 700), ((50, 700, 3), 333)])
def test_all_threads_see_where_a_run_stalls(sizes, n_samples):
    """One that did not would wait for the others for ever."""
    case = Case(sizes, (Activation.TANH,) * (len(sizes) - 2), n_samples=n_samples, batch_size=n_samples)
    given, found = start(case), []
    for threads in (1, 2, 4):
        run, losses = begin("kernels", case, given, threads=threads, patience=3, tol=1e9), np.zeros(9)
        assert run.threads == threads
        # After the first, no epoch gains so much.
        for epoch, status in ((4, Status.STALLED), (7, Status.STALLED), (9, Status.FINISHED)):
            assert run.advance(np.full(9, 2.0**-5), losses, 9 * n_samples, WHOLE) == status
            assert run.done == epoch * n_samples
        found.append(bits(run, losses))
    assert found[1:] == [found[0]] * 2


def test_runs_side_by_side_neither_hang_nor_mix():
    """Sixteen threads at once, more than there are cores, in 200 runs."""
    shapes = SHAPES[:5] * 40
    wanted = [fitted(*shape, np.float32, 1) for shape in SHAPES[:5]] * 40
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda shape: fitted(*shape, np.float32, 2), shapes))
    assert found == wanted


def test_a_thread_that_cannot_be_started_costs_nothing_but_time(monkeypatch):
    alone = fitted(*SHAPES[0], np.float32, 1)
    start, tries = Thread.start, []

    def fail_the_second_time(thread):
        tries.append(thread)
        if len(tries) % 2 == 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(running.Thread, "start", fail_the_second_time)
    assert fitted(*SHAPES[0], np.float32, 3) == alone
    assert len(tries) >= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_trains_with_threads_too():
    alone = fitted(*SHAPES[0], np.float32, 2)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(fitted, (*SHAPES[0], np.float32, 2)).get(60) == alone


def test_an_interrupt_before_the_work_leaves_no_thread_waiting():
    def interrupted(rank, threads, sync):
        if rank == 0:
            raise KeyboardInterrupt
        while not sync[running.STOP]:
            pass
        return 0

    before = active_count()
    with pytest.raises(KeyboardInterrupt):
        together(interrupted, (), 4)
    assert active_count() == before


def shape_of(sizes, batch_size):
    return plan(sizes, [Activation.TANH] * (len(sizes) - 2), int(Loss.CROSS_ENTROPY), 1, np.float32, batch_size)


def test_small_steps_take_one_thread_and_large_ones_the_cores(monkeypatch):
    monkeypatch.setattr(running, "available_cores", lambda: 2)
    assert suitable_threads(shape_of((2, 3, 2), 200), 200, 4) == 1
    assert suitable_threads(shape_of((2, 50, 2), 200), 200, 4) == 1
    assert suitable_threads(shape_of((784, 512, 10), 128), 128, 4) == 2
    assert suitable_threads(shape_of((4, 32, 16, 4), 10_000), 10_000, 4) == 2


def test_workers_of_task_managers_keep_to_their_cores(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_cores() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert available_cores() >= 1


@pytest.mark.parametrize(("all_take", "chosen"), [(5.0, 1), (0.6, 2), (1.05, 2)])
def test_one_thread_is_chosen_where_others_have_work_for_the_cores(monkeypatch, all_take, chosen):
    """By a clock that goes by samples: with all threads each takes `all_take` times as long as with one."""
    now, sizes, call = [0.0], [], running.Run._call

    def timed(run, rates, losses, until, budget, threads):
        before = run.done
        status = call(run, rates, losses, until, budget, threads)
        now[0] += (run.done - before) * 1e-5 * (all_take if threads > 1 else 1)
        sizes.append(threads)
        return status

    alone = fitted((64, 100, 10), 3_000, 200, np.float32, 1, epochs=40)
    monkeypatch.setattr(running, "available_cores", lambda: 2)
    monkeypatch.setattr(running.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(running.Run, "_call", timed)
    assert fitted((64, 100, 10), 3_000, 200, np.float32, None, epochs=40) == alone
    assert set(sizes) == {1, 2}
    assert sizes[-1] == chosen
    # Once a second.
    assert sizes.count(3 - chosen) <= 6 + now[0]
