"""Samples that several nets share."""

import numpy as np
import pytest

from fastmlp import fitting, train, train_many
from fastmlp.kernels.layouts import MOST_KEPT, Layouts
from fastmlp.kernels.run import Run
from fastmlp.options import Snapshot
from table import CASES, WHOLE, by_dtype, by_engine, start


def test_each_form_is_made_once(random):
    X, layouts = random.standard_normal((100, 3)), Layouts()
    first = layouts.of(X, 64, 64)
    assert layouts.of(X, 64, 64) is first
    assert layouts.of(X.copy(), 64, 64) is not first
    others = [layouts.of(X, size, size) for size in (16, 32, 48)[:MOST_KEPT]]
    assert layouts.of(X, 64, 64) is not first
    assert layouts.of(X, (16, 32, 48)[MOST_KEPT - 1], (16, 32, 48)[MOST_KEPT - 1]) is others[-1]


FULL = [case for case in CASES if case.batch_size == case.n_samples and case.n_samples < 1000][::7]


@by_dtype
@by_engine
@pytest.mark.parametrize("case", FULL, ids=str)
def test_full_batches_that_are_gathered_have_the_same_bits(case, dtype, engine):
    given = start(case, dtype)
    rates = np.full(2, 0.01, dtype)

    def trained(X, y, order):
        from table import ENGINES

        run = ENGINES[engine](
            case.problem, Snapshot(given.params, key=3), X, y, order, case.n_samples, case.batch_size, 1, given.total_weight
        )
        losses = np.zeros_like(rates)
        for epoch in range(2):
            run.order_begins_at(epoch * case.n_samples)
            run.advance(rates, losses, (epoch + 1) * case.n_samples, WHOLE)
        return run.params.tobytes() + losses.tobytes()

    turned = np.arange(case.n_samples, dtype=np.int32)[::-1].copy()
    X, y = np.ascontiguousarray(given.X[::-1]), np.ascontiguousarray(given.y[::-1])
    assert trained(X, y, turned) == trained(given.X, given.y, np.empty(0, np.int32))


@pytest.mark.parametrize("solver", ["sgd", "lbfgs", "rprop"])
@pytest.mark.parametrize("most", [0, 1 << 40], ids=["gathered", "copied"])
def test_nets_on_some_rows_in_full_batches(random, solver, most, monkeypatch):
    monkeypatch.setattr(fitting, "LARGEST_OWN_COPY", most)
    X = random.standard_normal((300, 40))
    y = (X[:, 0] > 0).astype(int)
    rows = [random.integers(300, size=200) for _ in range(3)]
    options = {"hidden": 20, "batch_size": None, "epochs": 5, "seed": 0, "solver": solver, "learning_rate": 0.01}
    nets = train_many(X, y, [{}, {}, {"validation": 0.2}], rows=rows, **options)
    for net, some, validation in zip(nets, rows, (None, None, 0.2), strict=True):
        alone = train(X[some], y[some], validation=validation, **options)
        assert net.params.tobytes() == alone.params.tobytes()
        assert net.loss_curve.tobytes() == alone.loss_curve.tobytes()


def test_nets_share_what_is_laid_out(random, monkeypatch):
    made = []
    monkeypatch.setattr("fastmlp.kernels.layouts.lay_out", lambda *args: made.append(args) or np.zeros(1))
    monkeypatch.setattr(Run, "advance", lambda self, rates, losses, until, budget: (_ for _ in ()).throw(RuntimeError))
    X = random.standard_normal((300, 40))
    with pytest.warns(RuntimeWarning, match="nets failed"):
        train_many(X, X[:, 0], [{"seed": seed} for seed in range(5)], hidden=50, batch_size=None, threads=1)
    assert len(made) == 1
