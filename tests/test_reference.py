"""The reference's closed forms, by hand; test_finite_differences.py judges its gradients."""

import math

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver, Status
from table import OUTPUTS, TANH, Case, begin, parts, start, worst_error

LOSSES = [(loss, n) for loss in Loss for n in OUTPUTS[loss]]
PLAIN = Hyperparameters()


def name(value):
    return getattr(value, "name", str(value)).lower()


def test_objective_by_hand():
    """Two samples, one weight: mean of the losses, half the penalty times the squared weight, the bias left out."""
    problem = Problem((1, 1), (), Loss.SQUARED_ERROR, Solver.SGD, Hyperparameters(l2=0.5))
    X, y = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]])
    objective, (dW,), (db,) = reference.objective_and_gradient(problem, [np.array([[3.0]])], [np.array([10.0])], X, y)
    # Residuals 13 and 15.
    assert objective == pytest.approx((13**2 / 2 + 15**2 / 2) / 2 + 0.5 / 2 * 3**2)
    assert dW[0, 0] == pytest.approx((13 * 1 + 15 * 2) / 2 + 0.5 * 3)
    assert db[0] == pytest.approx((13 + 15) / 2)


def test_weights_and_penalties_by_hand():
    """Of two samples, the second three times as heavy, with both penalties on a negative weight."""
    X, y, weights = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]]), np.array([0.5, 1.5])
    W, b = [np.array([[-3.0]])], [np.array([22.0])]
    # Residuals 22 - 3 - 0 = 19 and 22 - 6 - 1 = 15.
    for per_sample in (False, True):
        problem = Problem((1, 1), (), Loss.SQUARED_ERROR, Solver.SGD, Hyperparameters(0.5, 0.25, l2_per_sample=per_sample))
        objective, (dW,), (db,) = reference.objective_and_gradient(problem, W, b, X, y, weights)
        l2 = 0.5 / 2 if per_sample else 0.5
        assert objective == pytest.approx((0.5 * 19**2 / 2 + 1.5 * 15**2 / 2) / 2 + l2 / 2 * 9 + 0.25 * 3)
        assert dW[0, 0] == pytest.approx((0.5 * 19 * 1 + 1.5 * 15 * 2) / 2 - l2 * 3 - 0.25)
        assert db[0] == pytest.approx((0.5 * 19 + 1.5 * 15) / 2)


def test_clipping_by_hand():
    """The whole gradient is shortened, that of the biases too, and only if it is too long."""
    problem = Problem((1, 1), (), Loss.SQUARED_ERROR, Solver.SGD, PLAIN)
    # With the residual 3 the gradient is (3 x, 3) = (4, 3), of norm 5.
    X, y, W, b = np.array([[4 / 3]]), np.array([[-3.0]]), [np.array([[0.0]])], [np.array([0.0])]
    for most, factor in ((0.0, 1.0), (1.0, 0.2), (4.9, 0.98), (5.1, 1.0)):
        clipped = problem._replace(hyperparameters=PLAIN._replace(max_grad_norm=most))
        objective, (dW,), (db,) = reference.objective_and_gradient(clipped, W, b, X, y)
        assert objective == pytest.approx(9 / 2)
        assert [dW[0, 0], db[0]] == pytest.approx([4 * factor, 3 * factor])


def test_penalty_by_hand():
    W = np.array([[1.0, -2.0], [0.0, 3.0]])
    assert reference.penalty(W, 0.0, 0.5) == pytest.approx(0.5 / 2 * 14)
    assert reference.penalty(W, 0.1, 0.5) == pytest.approx(0.5 / 2 * 14 + 0.1 * 6)


LN_2, LN_3 = math.log(2), math.log(3)
BY_HAND = [
    # Probabilities 1/4 and 3/4; 1/2 and 3/4.
    (Loss.CROSS_ENTROPY, {}, [0, LN_3], [0], math.log(4), [-0.75, 0.75]),
    (Loss.BINARY_CROSS_ENTROPY, {}, [0, LN_3], [1, 1], LN_2 + math.log(4 / 3), [-0.5, -0.25]),
    # Targets 0.9 and 0.1.
    (Loss.CROSS_ENTROPY, {"label_smoothing": 0.2}, [0, LN_3], [0], 0.9 * math.log(4) + 0.1 * math.log(4 / 3),
     [-0.65, 0.65]),
    (Loss.SQUARED_ERROR, {}, [1, -2], [4, -3], 9 / 2 + 1 / 2, [-3, 1]),
    (Loss.ABSOLUTE_ERROR, {}, [1, -2, 5], [4, -3, 5], 3 + 1, [-1, 1, 0]),
    # Errors -3, 1 and 2: half the square up to delta, a line beyond.
    (Loss.HUBER, {"delta": 2.0}, [1, -2, 2], [4, -3, 0], 2 * (3 - 2 / 2) + 1 / 2 + 4 / 2, [-2, 1, 2]),
    (Loss.HUBER, {}, [1, -2], [4, -3], (3 - 1 / 2) + 1 / 2, [-1, 1]),
    # Means 1, 2 and 3 for the counts 3, 0 and 3: y log(y / mean) - y + mean.
    (Loss.POISSON, {}, [0, LN_2, LN_3], [3, 0, 3], (3 * LN_3 - 3 + 1) + 2 + 0, [-2, 2, 0]),
    # Too low costs 0.9 of the error, too high 0.1.
    (Loss.QUANTILE, {"quantile": 0.9}, [1, -2, 5], [4, -3, 5], 0.9 * 3 + 0.1 * 1, [-0.9, 0.1, 0]),
    (Loss.QUANTILE, {}, [1, -2], [4, -3], 3 / 2 + 1 / 2, [-0.5, 0.5]),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "settings", "z", "y", "expected", "slope"), BY_HAND, ids=name)
def test_losses_by_hand(loss, settings, z, y, expected, slope):
    """Of the one sample and of the same with another behind it: rows do not mix."""
    chosen, other = Hyperparameters(**settings), (np.zeros(len(z)), np.zeros(len(y)))
    alone = reference.loss_backward(loss, chosen, np.array([z], float), np.array([y], float))
    both = reference.loss_backward(loss, chosen, np.array([z, other[0]]), np.array([y, other[1]]))
    for losses, delta in (alone, both):
        assert losses[0] == pytest.approx(expected)
        np.testing.assert_allclose(delta[0], slope, atol=1e-15)


@pytest.mark.parametrize(
    ("loss", "settings", "best"),
    [
        (Loss.SQUARED_ERROR, {}, np.mean),
        (Loss.POISSON, {}, lambda y: np.log(np.mean(y))),
        (Loss.ABSOLUTE_ERROR, {}, np.median),
        (Loss.HUBER, {"delta": 1e3}, np.mean),
        (Loss.HUBER, {"delta": 1e-3}, np.median),
        (Loss.QUANTILE, {"quantile": 0.8}, lambda y: np.quantile(y, 0.8, method="inverted_cdf")),
    ],
    ids=name,
)
def test_the_best_constant_is_the_one_that_a_loss_asks_for(loss, settings, best):
    y = np.random.default_rng(1).poisson(3, 501) + np.random.default_rng(2).uniform(0, 0.9, 501)
    chosen, constants = Hyperparameters(**settings), np.linspace(0.01, 8, 800)
    means = [reference.loss_backward(loss, chosen, np.full((501, 1), z), y[:, np.newaxis])[0].mean() for z in constants]
    assert constants[np.argmin(means)] == pytest.approx(best(y), abs=0.0101)


def test_outputs_by_hand():
    z = np.array([[0.0, LN_3]])
    expected = {Loss.CROSS_ENTROPY: [0.25, 0.75], Loss.BINARY_CROSS_ENTROPY: [0.5, 0.75], Loss.POISSON: [1.0, 3.0]}
    for loss in Loss:
        np.testing.assert_allclose(reference.output(loss, z)[0], expected.get(loss, z[0]))


def steps(solver, settings, rate, p, gradients, n_weights=1):
    """The parameters after each update by the given gradients, and the moments that remain."""
    found, copies = [np.array(p, float)], [np.array(p, float)]
    moments = [np.zeros(len(p)) for _ in range(reference.optimizers.MOMENTS[solver])]
    for step, gradient in enumerate(gradients, 1):
        found.append(
            reference.update(solver, settings, rate, step, found[-1], np.array(gradient, float), moments, n_weights)
        )
        copies.append(found[-1].copy())
    # An update leaves what it is given: it is the last to go by, should the next objective not be finite.
    np.testing.assert_array_equal(found, copies)
    return found[1:], moments


def test_sgd_by_hand():
    (p, q), _ = steps(Solver.SGD, PLAIN, 0.1, [1.0], [[2.0], [-3.0]])
    assert [p[0], q[0]] == pytest.approx([1 - 0.2, 1 - 0.2 + 0.3])
    settings = Hyperparameters(momentum=0.8)
    (p, q), moments = steps(Solver.SGD, settings, 0.1, [1.0], [[2.0], [-3.0]])
    # Velocities -0.2, then 0.8 * -0.2 + 0.3 = 0.14.
    assert [p[0], q[0]] == pytest.approx([0.8, 0.8 + 0.14])
    assert moments[0][0] == pytest.approx(0.14)
    (p, q), moments = steps(Solver.SGD, settings._replace(nesterov=True), 0.1, [1.0], [[2.0], [-3.0]])
    # As far again as the velocity goes on.
    assert p[0] == pytest.approx(1 + 0.8 * -0.2 - 0.2)
    assert q[0] == pytest.approx(p[0] + 0.8 * 0.14 + 0.3)
    assert moments[0][0] == pytest.approx(0.14)


@pytest.mark.parametrize("inside", [False, True])
def test_adam_by_hand(inside):
    """The first step is the rate times the gradient's sign, but for epsilon; the second mixes both gradients."""
    settings = Hyperparameters(beta_1=0.5, beta_2=0.75, epsilon=0.1, epsilon_inside=inside)
    (p, q), _ = steps(Solver.ADAM, settings, 0.01, [1.0], [[-2.0], [4.0]])
    # Corrected, the first moments are g and g^2; inside, epsilon is divided by the root of 1 - 0.75 too.
    assert p[0] == pytest.approx(1 + 0.01 * 2 / (2 + 0.1 / (np.sqrt(0.25) if inside else 1)))
    m, v = (0.25 * -2 + 0.5 * 4) / 0.75, (0.75 * 0.25 * 4 + 0.25 * 16) / (1 - 0.75**2)
    epsilon = 0.1 / np.sqrt(1 - 0.75**2) if inside else 0.1
    assert q[0] == pytest.approx(p[0] - 0.01 * m / (np.sqrt(v) + epsilon))


def test_adamw_by_hand():
    """Adam's steps from weights that have decayed by a share of the rate; biases do not decay."""
    settings = Hyperparameters(weight_decay=0.5)
    given = [[-2.0, -2.0], [4.0, 4.0]]
    adam, _ = steps(Solver.ADAM, settings, 0.1, [1.0, 1.0], given)
    found, _ = steps(Solver.ADAMW, settings, 0.1, [1.0, 1.0], given)
    first = adam[0] - 1
    assert found[0].tolist() == pytest.approx([0.95 + first[0], 1 + first[1]])
    second = adam[1] - adam[0]
    assert found[1].tolist() == pytest.approx([0.95 * found[0][0] + second[0], found[0][1] + second[1]])


def test_rmsprop_by_hand():
    settings = Hyperparameters(rho=0.75, epsilon=0.1, momentum=0.5)
    (p, q), moments = steps(Solver.RMSPROP, settings, 0.01, [1.0], [[-2.0], [4.0]])
    # Mean squares 0.25 * 4 = 1, then 0.75 * 1 + 0.25 * 16 = 4.75.
    first = -2 / (1 + 0.1)
    second = 0.5 * first + 4 / (np.sqrt(4.75) + 0.1)
    assert [p[0], q[0]] == pytest.approx([1 - 0.01 * first, 1 - 0.01 * first - 0.01 * second])
    assert [moment[0] for moment in moments] == pytest.approx([second, 4.75])


def test_rprop_by_hand():
    """Of a gradient that keeps its sign, one that changes it twice and one that comes after a 0."""
    gradients = [[2.0, 2.0, 0.0], [1.0, -1.0, -3.0], [5.0, -1.0, -1.0], [0.1, 7.0, -1.0]]
    found, moments = steps(Solver.RPROP, Hyperparameters(step_sizes=(0.03, 0.2)), 0.1, [0.0, 0.0, 0.0], gradients)
    # Steps 0.1, 0.12, 0.144, 0.1728; 0.1, none at the new sign, half as far the other way, and again none at the next one,
    # where the size stays at its least; none, 0.1, 0.12, 0.144.
    expected = [
        [-0.1, -0.1, 0.0],
        [-0.22, -0.1, 0.1],
        [-0.364, -0.05, 0.22],
        [-0.5368, -0.05, 0.364],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert moments[1] == pytest.approx([0.1728, 0.03, 0.144])
    found, moments = steps(Solver.RPROP, Hyperparameters(step_sizes=(0.03, 0.13)), 0.1, [0.0], [[1.0]] * 3)
    # No further than 0.13 at once.
    np.testing.assert_allclose(np.ravel(found), [-0.1, -0.22, -0.35], rtol=1e-14)


def test_the_solver_that_makes_no_step_adds_the_gradients_up():
    found, moments = steps(Solver.LBFGS, PLAIN, 0.1, [1.0, 2.0], [[3.0, 4.0], [-5.0, 6.0]])
    assert [p.tolist() for p in found] == [[1.0, 2.0]] * 2
    assert moments[0].tolist() == [-2.0, 10.0]


@pytest.mark.parametrize(("loss", "n_outputs"), LOSSES, ids=name)
@pytest.mark.parametrize("solver", ["nesterov", "adam", "adamw", "rmsprop", "rprop"])
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
    # Of Rprop's only the gradients' signs count, which near zero rounding decides.
    if solver != "rprop":
        assert 0 < worst_error(case, params[np.float32], params[np.float64]) < 1e-5


def test_views_name_each_parameter_once():
    flat = np.arange(2 * 3 + 3 * 4 + 3 + 4.0)
    shapes = [part.shape for part in parts(Case((2, 3, 4)), flat)]
    assert shapes == [(2, 3), (3, 4), (3,), (4,)]
    weights, biases = reference.views(flat, (2, 3, 4))
    assert np.concatenate([part.ravel() for part in (*weights, *biases)]).tolist() == flat.tolist()
    weights[1][0, 1] = -1
    assert flat[7] == -1


POINTS = (-3.0, -1.0, -0.5, 0.5, 1.0, 3.0)
FORMULAS = {
    Activation.IDENTITY: lambda z: z,
    Activation.LOGISTIC: lambda z: 1 / (1 + math.exp(-z)),
    Activation.TANH: math.tanh,
    Activation.RELU: lambda z: max(z, 0),
    Activation.LEAKY_RELU: lambda z: max(z, z / 100),
    Activation.ELU: lambda z: z if z > 0 else math.exp(z) - 1,
    Activation.SELU: lambda z: reference.activations.SELU_SCALE * (
        z if z > 0 else reference.activations.SELU_ALPHA * (math.exp(z) - 1)
    ),
    Activation.SOFTPLUS: lambda z: math.log(1 + math.exp(z)),
    Activation.GELU: lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
    Activation.SILU: lambda z: z / (1 + math.exp(-z)),
    Activation.MISH: lambda z: z * math.tanh(math.log(1 + math.exp(z))),
}  # fmt: skip


@pytest.mark.parametrize("activation", Activation, ids=name)
def test_activations_by_their_formulas(activation):
    z = np.array([POINTS])
    expected = [FORMULAS[activation](point) for point in POINTS]
    np.testing.assert_allclose(reference.activate(activation, z)[0], expected, rtol=1e-14)


def test_selu_keeps_mean_and_variance():
    """What its two constants are made for, by the integral over a standard normal distribution on either side of 0."""
    points, weights = np.polynomial.legendre.leggauss(200)
    z = 20 * (points + 1)
    weights = 20 * weights * reference.normal_pdf(z)
    both = [reference.activate(Activation.SELU, side) for side in (z, -z)]
    assert sum(weights @ a for a in both) == pytest.approx(0, abs=1e-12)
    assert sum(weights @ a**2 for a in both) == pytest.approx(1, rel=1e-12)


def test_normal_distribution():
    z = np.linspace(-8, 8, 33)
    np.testing.assert_allclose(reference.normal_cdf(z), [math.erfc(-x / math.sqrt(2)) / 2 for x in z], rtol=1e-13)
    np.testing.assert_allclose(reference.normal_pdf(z), np.exp(-z * z / 2) / math.sqrt(2 * math.pi), rtol=1e-14)
    step = 1e-5
    slope = (reference.normal_cdf(z + step) - reference.normal_cdf(z - step)) / (2 * step)
    np.testing.assert_allclose(slope, reference.normal_pdf(z), atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", Activation, ids=name)
def test_activations_of_extreme_sums(activation, dtype):
    """Neither they nor their slopes overflow or become NaN; far from 0 they are straight lines or constants."""
    z = np.array([[1e4, -1e4, 0.0, 1.0, -1.0]], dtype)
    a = reference.activate(activation, z)
    delta = reference.activate_backward(activation, z, a, np.ones_like(z))
    assert a.dtype == delta.dtype == dtype
    assert np.isfinite(a).all()
    assert np.isfinite(delta).all()
    bounded = activation in (Activation.LOGISTIC, Activation.TANH)
    stretch = reference.activations.SELU_SCALE if activation == Activation.SELU else 1
    assert a[0, 0] == pytest.approx(1 if bounded else stretch * 1e4)
    assert delta[0, 0] == pytest.approx(0 if bounded else stretch)
    falls = {Activation.IDENTITY: 1, Activation.LEAKY_RELU: 0.01}.get(activation, 0)
    assert delta[0, 1] == pytest.approx(falls)


@pytest.mark.parametrize("function", [reference.logistic, reference.softmax, reference.softplus])
def test_extreme_logits_neither_overflow_nor_vanish(function):
    z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    for dtype in (np.float32, np.float64):
        values = function(z.astype(dtype))
        assert values.dtype == dtype
        assert np.isfinite(values).all()
    expected = {
        reference.softmax: [[1, 0, 0], [1 / 3] * 3],
        reference.logistic: [[1, 0, 0.5], [0, 0, 0]],
        reference.softplus: [[1e4, 0, np.log(2)], [0, 0, 0]],
    }
    np.testing.assert_allclose(values, expected[function])
