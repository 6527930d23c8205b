"""L-BFGS: scipy's own, on the objective that the reference computes, to where it says."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fastmlp import reference, train
from fastmlp.initialise import start_params
from fastmlp.options import Hyperparameters, Problem, Solver
from table import relative_error

by_engine = pytest.mark.parametrize("engine", ["kernels", "reference"])
by_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
# Iterations multiply what the engines differ in.
FEW = 15


def objective_at(net, X, y, weights=None, **settings):
    """A function from parameters to the objective of all samples and its gradient, by the reference."""
    numbers = y if net.classes is None else np.searchsorted(net.classes, y)
    problem = Problem(net.sizes, net.activations, net.loss, Solver.LBFGS, Hyperparameters(**settings))

    def function(params):
        J, *gradients = reference.objective_and_gradient(
            problem, *reference.views(params, net.sizes), X, numbers.reshape(len(X), -1), weights
        )
        return J, np.concatenate([part.ravel() for parts in gradients for part in parts])

    return function


def by_scipy(function, net, seed, iterations, tol):
    begin = start_params("glorot_uniform", net.sizes, np.random.default_rng(seed))
    options = {"maxiter": iterations, "maxfun": 15_000, "gtol": tol}
    return minimize(function, begin, jac=True, method="L-BFGS-B", options=options)


KINDS = {
    "classes": {"l2": 0.01},
    "l1": {"l2": 0.01, "l1": 0.001},
    "weights": {"l2": 0.01, "sample_weight": np.arange(90) % 3},
    "smoothed": {"label_smoothing": 0.2},
    "values": {"l2": 0.01, "loss": "squared_error"},
    "huber": {"l2": 0.01, "loss": "huber", "delta": 0.5},
}


def data(blobs, options):
    X, y = blobs
    settings = {name: value for name, value in options.items() if name not in ("sample_weight", "loss")}
    return X, np.sin(X[:, 0]) if "loss" in options else y, settings


@by_engine
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_the_iterations_are_scipys(blobs, options, engine):
    X, y, settings = data(blobs, options)
    net = train(X, y, 5, activation="tanh", solver="lbfgs", epochs=FEW, seed=0, engine=engine, **options)
    result = by_scipy(objective_at(net, X, y, options.get("sample_weight"), **settings), net, 0, FEW, 1e-4)
    assert net.n_epochs == result.nit == FEW
    assert relative_error(net.params, result.x) <= 1e-6


@by_engine
@pytest.mark.parametrize("hidden", [(), 5])
@pytest.mark.parametrize(
    "options", [KINDS["classes"], KINDS["weights"], KINDS["values"]], ids=["classes", "weights", "values"]
)
def test_the_optimum_is_scipys(blobs, options, hidden, engine):
    X, y, settings = data(blobs, options)
    net = train(
        X, y, hidden, activation="tanh", solver="lbfgs", epochs=2_000, seed=0, tol=1e-6, engine=engine, **options
    )  # fmt: skip
    function = objective_at(net, X, y, options.get("sample_weight"), **settings)
    result = by_scipy(function, net, 0, 2_000, 1e-6)
    assert net.status == "converged"
    assert function(net.params)[0] == pytest.approx(result.fun, rel=1e-6)
    if hidden == ():
        assert relative_error(net.params, result.x) <= 1e-3


@by_engine
def test_the_curve_has_the_objective_before_each_iteration(blobs, engine):
    X, y = blobs
    seen = []
    net = train(
        X, y, 5, solver="lbfgs", epochs=FEW, seed=0, l2=0.01, engine=engine,
        callback=lambda epoch: seen.append(epoch.network.params),
    )  # fmt: skip
    function = objective_at(net, X, y, l2=0.01)
    begin = start_params("glorot_uniform", net.sizes, np.random.default_rng(0))
    np.testing.assert_allclose(net.loss_curve, [function(params)[0] for params in (begin, *seen[:-1])], rtol=1e-12)
    assert (np.diff(net.loss_curve) < 0).all()


@by_dtype
@by_engine
def test_it_converges(blobs, curve, dtype, engine):
    for X, y in (blobs, curve):
        net = train(X, y, 8, activation="tanh", solver="lbfgs", epochs=500, seed=0, l2=0.01, dtype=dtype, engine=engine)
        assert net.status in ("converged", "stopped early")
        assert 5 < net.n_epochs < 500
        assert net.score(X, y) > 0.9
        for values in (net.params, net.loss_curve, net.predict(X) if net.classes is None else net.predict_proba(X)):
            assert values.dtype == dtype


@by_dtype
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_the_engines_agree(blobs, options, dtype):
    X, y, _ = data(blobs, options)
    ours, theirs = (
        train(X, y, 5, activation="tanh", solver="lbfgs", epochs=5, seed=0, dtype=dtype, engine=engine, **options)
        for engine in ("kernels", "reference")
    )
    assert relative_error(ours.params, theirs.params) <= (1e-9 if dtype == "float64" else 5e-3)
    assert relative_error(ours.loss_curve, theirs.loss_curve) <= (1e-10 if dtype == "float64" else 1e-4)


@by_engine
@pytest.mark.parametrize("tol", [0.3, 1e-2, 1e-4, 1e-6, 1e-7])
def test_it_ends_where_no_part_of_the_gradient_is_above_tol(blobs, tol, engine):
    X, y = blobs
    seen = []
    net = train(
        X, y, (), solver="lbfgs", epochs=3_000, seed=0, l2=0.1, tol=tol, engine=engine,
        callback=lambda epoch: seen.append(epoch.network.params),
    )  # fmt: skip
    assert net.status == "converged"
    steepest = [np.abs(objective_at(net, X, y, l2=0.1)(params)[1]).max() for params in seen]
    fall = -np.diff(net.loss_curve[-2:]) / net.loss_curve[-1]
    # But for rounding; or where the objective hardly falls any more.
    assert steepest[-1] <= tol * (1 + 1e-6) + 1e-14 or fall[0] < 1e-7
    assert (np.array(steepest[:-1]) > tol).all()


@by_engine
@pytest.mark.parametrize("epochs", [1, 2, 10])
def test_epochs_are_iterations(blobs, epochs, engine):
    net = train(*blobs, 5, solver="lbfgs", epochs=epochs, seed=0, engine=engine)
    assert (net.n_epochs, net.status) == (epochs, "finished")


@by_engine
@pytest.mark.parametrize("max_fun", [1, 2, 10])
def test_evaluations_are_limited(blobs, monkeypatch, max_fun, engine):
    from fastmlp.kernels.run import Run

    run = {"kernels": Run, "reference": reference.Run}[engine]
    begin_again, counted = run.begin_again, []
    monkeypatch.setattr(run, "begin_again", lambda self, params: counted.append(1) or begin_again(self, params))
    with pytest.warns(RuntimeWarning, match=rf"L-BFGS stopped after \d+ of 200 iterations, for max_fun={max_fun}"):
        net = train(*blobs, 5, solver="lbfgs", epochs=200, seed=0, max_fun=max_fun, engine=engine)
    assert net.status == "stopped early"
    assert net.n_epochs <= max_fun
    # scipy ends once there were more; and after each iteration the run is brought to where it led.
    assert max_fun <= len(counted) - net.n_epochs <= max_fun + 25
    assert np.isfinite(net.params).all()


@by_engine
def test_the_learning_rate_is_of_no_effect(blobs, engine):
    nets = [train(*blobs, 5, solver="lbfgs", epochs=5, seed=0, learning_rate=rate, engine=engine) for rate in (1e-3, 10.0)]
    assert nets[0].params.tobytes() == nets[1].params.tobytes()


@pytest.mark.filterwarnings("ignore:y reaches:UserWarning")
@by_engine
def test_an_objective_that_is_not_finite_at_the_start(curve, engine):
    X, y = curve
    with pytest.warns(RuntimeWarning, match="the objective is not finite in epoch 1 of 5") as caught:
        net = train(X, y * 1e300, 4, solver="lbfgs", epochs=5, seed=0, engine=engine)
    assert [warning.category for warning in caught] == [UserWarning, RuntimeWarning]
    assert (net.status, net.n_epochs) == ("diverged", 0)
    np.testing.assert_array_equal(net.params, start_params("glorot_uniform", net.sizes, np.random.default_rng(0)))


@pytest.mark.filterwarnings("ignore:X.*column 0 spreads over:UserWarning")
@by_engine
def test_steps_to_where_the_objective_is_not_finite_are_shortened(random, engine):
    """Poisson's exp outputs overflow where the line search first looks."""
    X = random.uniform(-1000, 1000, (60, 1))
    y = np.exp(X[:, 0] / 400).round()
    options = {"loss": "poisson", "solver": "lbfgs", "init": ([np.zeros((1, 1))], [np.zeros(1)]), "engine": engine}
    seen = []
    net = train(X, y, (), epochs=200, callback=seen.append, **options)
    assert net.status in ("converged", "stopped early")
    assert net.weights[0][0, 0] == pytest.approx(1 / 400, rel=0.1)
    assert (np.diff(net.loss_curve) <= 0).all()
    assert [epoch.loss for epoch in seen] == net.loss_curve.tolist()


@by_engine
def test_time_runs_out_where_it_begins_anew_too(blobs, engine, monkeypatch):
    """With other data it does, after making iterations again that lead elsewhere."""
    X, y = blobs
    net = train(X, y, 4, solver="lbfgs", epochs=5, seed=0, engine=engine)
    asked, limit = [], 6

    def is_halted(self):
        asked.append(self._again)
        if self._again == 0 and len(asked) > limit:
            self.status = "out of time"
            return True
        return False

    monkeypatch.setattr("fastmlp.lbfgs.Lbfgs.is_halted", is_halted)
    again = train(0.01 * X, y, start=net, solver="lbfgs", epochs=50, engine=engine)
    assert asked[0] == 5
    assert asked[-1] == 0
    assert again.status == "out of time"
    assert np.isfinite(again.params).all()
