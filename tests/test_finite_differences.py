"""The reference's gradients against central differences of its objective."""

import numpy as np
import pytest

from fastmlp import reference
from fastmlp.options import Activation, Loss
from table import IDENTITY, LOGISTIC, OUTPUTS, PENALTIES, RELU, TANH, Case, covering, relative_error, start

STEP = 1e-5
NEAREST_KINK = 1e-3
# Their slope jumps at 0, or of the elu the slope's slope, which a difference quotient would step over as well.
KINKED = {RELU, Activation.LEAKY_RELU, Activation.ELU, Activation.SELU}
# The errors at which a loss's slope jumps.
KINKS = {Loss.ABSOLUTE_ERROR: (0,), Loss.QUANTILE: (0,), Loss.HUBER: (-1, 1)}

SHAPED = [
    *((loss, "", n) for loss in Loss for n in OUTPUTS[loss]),
    *((loss, shape, n)
      for loss, shape in ((Loss.CROSS_ENTROPY, "smooth"), (Loss.HUBER, "narrow-huber"), (Loss.QUANTILE, "high-quantile"))
      for n in OUTPUTS[loss]),
]  # fmt: skip
FACTORS = {
    "loss": SHAPED,
    "activation": list(Activation),
    "hidden": [(3,), (4, 2), (3, 2, 3)],
    "penalty": list(PENALTIES),
    "weights": ["none", "some"],
    "dropout": [0.0, 0.3],
    "n_samples": [1, 8],
}


def _cases():
    """Every two options together, so every loss with each number of outputs and each activation; and no hidden layer."""
    for chosen in covering(FACTORS, 0):
        (loss, shape, n_outputs), hidden, n_samples = chosen["loss"], chosen["hidden"], chosen["n_samples"]
        dropout = (chosen["dropout"],) * len(hidden) if chosen["dropout"] else ()
        yield Case(
            (3, *hidden, n_outputs), (chosen["activation"],) * len(hidden), loss, "sgd", chosen["penalty"],
            n_samples, n_samples, chosen["weights"], dropout, shape,
        )  # fmt: skip
    for place, (loss, shape, n_outputs) in enumerate(SHAPED):
        penalty, weights = list(PENALTIES)[place % len(PENALTIES)], ("none", "some")[place % 2]
        yield Case((3, n_outputs), (), loss, "sgd", penalty, 8, 8, weights, (), shape)
    yield Case((3, 4, 3, 5, 2, 3), (TANH, RELU, LOGISTIC, IDENTITY), n_samples=30, batch_size=30)
    yield Case(
        (3, 4, 5, 2, 3), (Activation.GELU, Activation.SELU, TANH), n_samples=30, batch_size=30, dropout=(0.5, 0.0, 0.2)
    )


CASES = list(dict.fromkeys(_cases()))


def kept_of(case):
    """What dropout leaves of each hidden layer."""
    return [
        reference.kept_units(rate, 1, 2, layer, case.n_samples, case.sizes[layer + 1], np.float64)
        for layer, rate in enumerate(case.dropout)
    ]


def nearest_kink(case, given):
    """How near a sum, an error or a weight comes to where a slope jumps."""
    weights, biases = reference.views(given.params, case.sizes)
    z, _ = reference.forward(weights, biases, case.activations, given.X, kept_of(case))
    distances = [np.abs(z[layer]).min() for layer, activation in enumerate(case.activations) if activation in KINKED]
    settings = case.problem.hyperparameters
    for kink in KINKS.get(case.loss, ()):
        distances.append(np.abs(z[-1] - given.y[:, : case.sizes[-1]] - kink * settings.delta).min())
    if settings.l1 > 0:
        distances += [np.abs(W).min() for W in weights]
    return min(distances, default=np.inf)


def away_from_kinks(case):
    """Data and weights at which no slope jumps within a difference quotient's reach."""
    for seed in range(100):
        given = start(case, seed=seed)
        if nearest_kink(case, given) > NEAREST_KINK:
            return given
    raise AssertionError("no seed keeps away from the kinks")


def gradients(case, given):
    """By backpropagation and by central differences, flat."""
    y, sample_weight = given.y, None
    if given.total_weight is not None:
        y, sample_weight = given.y[:, :-1], given.y[:, -1]

    def objective(params):
        weights, biases = reference.views(params, case.sizes)
        return reference.objective_and_gradient(case.problem, weights, biases, given.X, y, sample_weight, kept_of(case))

    _, *by_backward = objective(given.params)
    flat = np.concatenate([part.ravel() for some in by_backward for part in some])
    by_differences = np.empty_like(flat)
    for place in range(flat.size):
        step = np.zeros_like(flat)
        step[place] = STEP
        by_differences[place] = (objective(given.params + step)[0] - objective(given.params - step)[0]) / (2 * STEP)
    most, norm = case.problem.hyperparameters.max_grad_norm, np.linalg.norm(by_differences)
    if 0 < most < norm:
        by_differences *= most / norm
    return flat, by_differences


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_equal_central_differences(case):
    by_backward, by_differences = gradients(case, away_from_kinks(case))
    assert np.abs(by_differences).max() > 1e-3
    assert relative_error(by_backward, by_differences) <= 1e-7


def test_every_loss_meets_every_activation_with_every_number_of_outputs():
    """And each of them sample weights, both penalties and dropout."""
    met = {(case.loss, case.shape, case.sizes[-1], activation) for case in CASES for activation in case.activations}
    assert met >= {(*shaped, activation) for shaped in SHAPED for activation in Activation}
    for options in ({case.weights for case in CASES if case.loss == loss and case.dropout} for loss in Loss):
        assert options == {"none", "some"}
    assert {case.loss for case in CASES if case.penalty == "l1-l2"} == set(Loss)
    assert {case.activations[0] for case in CASES if case.dropout} == set(Activation)
