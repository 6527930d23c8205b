"""The reference's own judge: central differences, and closed forms."""

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver, Status
from table import IDENTITY, LOGISTIC, RELU, TANH, Case, begin, parts, relative_error, start, worst_error

STEP = 1e-5
NEAREST_KINK = 1e-3
OUTPUTS = [
    *((Loss.CROSS_ENTROPY, n) for n in (2, 3, 4, 5)),
    *((loss, n) for loss in (Loss.BINARY_CROSS_ENTROPY, Loss.SQUARED_ERROR) for n in (1, 2, 5)),
]
DEPTHS = [(), (3,), (4, 2), (3, 2, 3)]


def name(value):
    return getattr(value, "name", str(value)).lower()


def away_from_kinks(case):
    """Data and weights at which no sum of a relu lies so close to 0 that a difference quotient would step over it."""
    for seed in range(100):
        given = start(case, seed=seed)
        weights, biases = reference.views(given.params, case.sizes)
        a = given.X
        nearest = np.inf
        for W, b, activation in zip(weights, biases, case.activations, strict=False):
            z = a @ W + b
            nearest = min(nearest, np.abs(z).min())
            a = reference.activate(activation, z)
        if RELU not in case.activations or nearest > NEAREST_KINK:
            return given
    raise AssertionError("no seed keeps away from the kinks")


def gradients(case, given):
    """By backpropagation and by central differences, flat."""

    def objective(params):
        weights, biases = reference.views(params, case.sizes)
        return reference.objective_and_gradient(case.problem, weights, biases, given.X, given.y)

    _, *by_backward = objective(given.params)
    flat = np.concatenate([part.ravel() for some in by_backward for part in some])
    by_differences = np.empty_like(flat)
    for place in range(flat.size):
        step = np.zeros_like(flat)
        step[place] = STEP
        by_differences[place] = (objective(given.params + step)[0] - objective(given.params - step)[0]) / (2 * STEP)
    return flat, by_differences


@pytest.mark.parametrize("n_samples", [1, 8])
@pytest.mark.parametrize("hidden", DEPTHS, ids=len)
@pytest.mark.parametrize("activation", Activation, ids=name)
@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS, ids=name)
def test_gradients_equal_central_differences(loss, n_outputs, activation, hidden, n_samples):
    penalty = "l2" if n_samples == 1 else "l2-per-sample"
    case = Case((3, *hidden, n_outputs), (activation,) * len(hidden), loss, "sgd", penalty, n_samples, n_samples)
    by_backward, by_differences = gradients(case, away_from_kinks(case))
    assert relative_error(by_backward, by_differences) <= 1e-6


def test_gradients_of_mixed_activations_equal_central_differences():
    case = Case((3, 4, 3, 5, 2, 3), (TANH, RELU, LOGISTIC, IDENTITY), n_samples=30, batch_size=30)
    by_backward, by_differences = gradients(case, away_from_kinks(case))
    assert relative_error(by_backward, by_differences) <= 1e-6


def test_objective_by_hand():
    """Two samples, one weight: mean of the losses, half the penalty times the squared weight, the bias left out."""
    problem = Problem((1, 1), (), Loss.SQUARED_ERROR, Solver.SGD, Hyperparameters(l2=0.5))
    X, y = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]])
    objective, (dW,), (db,) = reference.objective_and_gradient(problem, [np.array([[3.0]])], [np.array([10.0])], X, y)
    # Residuals 13 and 15.
    assert objective == pytest.approx((13**2 / 2 + 15**2 / 2) / 2 + 0.5 / 2 * 3**2)
    assert dW[0, 0] == pytest.approx((13 * 1 + 15 * 2) / 2 + 0.5 * 3)
    assert db[0] == pytest.approx((13 + 15) / 2)


def test_losses_by_hand():
    z = np.array([[0.0, np.log(3.0)]])
    loss, delta = reference.loss_backward(Loss.CROSS_ENTROPY, z, np.array([[0.0]]))
    assert loss == pytest.approx(np.log(4))
    np.testing.assert_allclose(delta, [[-0.75, 0.75]])
    loss, delta = reference.loss_backward(Loss.BINARY_CROSS_ENTROPY, z, np.array([[1.0, 1.0]]))
    assert loss == pytest.approx(np.log(2) + np.log(4 / 3))
    np.testing.assert_allclose(delta, [[-0.5, -0.25]])


def test_sgd_by_hand():
    p, g = np.array([1.0]), np.array([2.0])
    velocity = [np.array([0.5])]
    settings = Hyperparameters(momentum=0.8)
    assert reference.update(Solver.SGD, settings, 0.1, 1, p, g, velocity) == pytest.approx(1 + 0.8 * 0.5 - 0.1 * 2)
    assert velocity[0] == pytest.approx(0.2)
    velocity = [np.array([0.5])]
    ahead = reference.update(Solver.SGD, settings._replace(nesterov=True), 0.1, 1, p, g, velocity)
    assert ahead == pytest.approx(1 + 0.8 * 0.2 - 0.2)


@pytest.mark.parametrize("inside", [False, True])
def test_adam_by_hand(inside):
    """The first step is the rate times the gradient's sign, but for epsilon; the second mixes both gradients."""
    settings = Hyperparameters(beta_1=0.5, beta_2=0.75, epsilon=0.1, epsilon_inside=inside)
    moments = [np.zeros(1), np.zeros(1)]
    p = reference.update(Solver.ADAM, settings, 0.01, 1, np.array([1.0]), np.array([-2.0]), moments)
    # Corrected, the first moments are g and g^2; inside, epsilon is divided by the root of 1 - 0.75 too.
    assert p[0] == pytest.approx(1 + 0.01 * 2 / (2 + 0.1 / (np.sqrt(0.25) if inside else 1)))
    q = reference.update(Solver.ADAM, settings, 0.01, 2, p, np.array([4.0]), moments)
    m, v = (0.25 * -2 + 0.5 * 4) / 0.75, (0.75 * 0.25 * 4 + 0.25 * 16) / (1 - 0.75**2)
    epsilon = 0.1 / np.sqrt(1 - 0.75**2) if inside else 0.1
    assert q[0] == pytest.approx(p[0] - 0.01 * m / (np.sqrt(v) + epsilon))


@pytest.mark.parametrize(("loss", "n_outputs"), OUTPUTS, ids=name)
@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_float32_stays_float32_and_near_float64(loss, n_outputs, solver):
    case = Case((3, 4, n_outputs), (TANH,), loss, solver, n_samples=20, batch_size=7)
    params = {}
    for dtype in (np.float32, np.float64):
        run = begin("reference", case, start(case, dtype, epochs=3))
        losses = np.zeros(3, dtype)
        assert run.advance(np.full(3, 2.0**-7, dtype), losses, 60, 100) == Status.FINISHED
        assert run.params.dtype == dtype
        assert {moment.dtype for moment in run.moments} == {np.dtype(dtype)}
        params[dtype] = run.params
    assert 0 < worst_error(case, params[np.float32], params[np.float64]) < 1e-5


def test_views_name_each_parameter_once():
    flat = np.arange(2 * 3 + 3 * 4 + 3 + 4.0)
    shapes = [part.shape for part in parts(Case((2, 3, 4)), flat)]
    assert shapes == [(2, 3), (3, 4), (3,), (4,)]
    weights, biases = reference.views(flat, (2, 3, 4))
    assert np.concatenate([part.ravel() for part in (*weights, *biases)]).tolist() == flat.tolist()
    weights[1][0, 1] = -1
    assert flat[7] == -1


@pytest.mark.parametrize("function", [reference.logistic, reference.softmax])
def test_extreme_logits_neither_overflow_nor_vanish(function):
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    for dtype in (np.float32, np.float64):
        values = function(z.astype(dtype))
        assert values.dtype == dtype
        assert np.isfinite(values).all()
    if function is reference.softmax:
        np.testing.assert_allclose(values, [[1, 0, 0], [1 / 3] * 3])
    else:
        np.testing.assert_allclose(values, [[1, 0, 0.5], [0, 0, 0]])
