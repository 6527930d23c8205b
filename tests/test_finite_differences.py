"""The reference's gradients against central differences of its objective."""

import numpy as np
import pytest

from fastmlp.check.accuracy import DIFFERENCE_TOLERANCE
from fastmlp.check.differences import away_from_kinks, gradients
from fastmlp.options import Activation, Loss
from table import IDENTITY, LOGISTIC, OUTPUTS, PENALTIES, RELU, TANH, Case, covering, relative_error

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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_equal_central_differences(case):
    by_backward, by_differences = gradients(case, away_from_kinks(case))
    assert np.abs(by_differences).max() > 1e-3
    assert relative_error(by_backward, by_differences) <= DIFFERENCE_TOLERANCE


def test_every_loss_meets_every_activation_with_every_number_of_outputs():
    """And each of them sample weights, both penalties and dropout."""
    met = {(case.loss, case.shape, case.sizes[-1], activation) for case in CASES for activation in case.activations}
    assert met >= {(*shaped, activation) for shaped in SHAPED for activation in Activation}
    for options in ({case.weights for case in CASES if case.loss == loss and case.dropout} for loss in Loss):
        assert options == {"none", "some"}
    assert {case.loss for case in CASES if case.penalty == "l1-l2"} == set(Loss)
    assert {case.activations[0] for case in CASES if case.dropout} == set(Activation)
