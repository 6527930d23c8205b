"""Central differences of the reference's objective, which judge its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import reference
from fastmlp.check.cases import Case, Start, start
from fastmlp.options import Activation, Loss

Array = NDArray[Any]
STEP = 1e-5
NEAREST_KINK = 1e-3
MOST_SEEDS = 100
# Their slope jumps at 0, or of the elu the slope's slope, which a difference quotient would step over as well.
KINKED = {Activation.RELU, Activation.LEAKY_RELU, Activation.ELU, Activation.SELU}
# The errors at which a loss's slope jumps.
KINKS = {Loss.ABSOLUTE_ERROR: (0,), Loss.QUANTILE: (0,), Loss.HUBER: (-1, 1)}


def kept_of(case: Case) -> list[Array]:
    """What dropout leaves of each hidden layer."""
    return [
        reference.kept_units(rate, 1, 2, layer, case.n_samples, case.sizes[layer + 1], np.dtype(np.float64))
        for layer, rate in enumerate(case.dropout)
    ]


def nearest_kink(case: Case, given: Start) -> float:
    """How near a sum, an error or a weight comes to where a slope jumps."""
    weights, biases = reference.views(given.params, case.sizes)
    z, _ = reference.forward(weights, biases, case.activations, given.X, kept_of(case))
    distances = [np.abs(z[layer]).min() for layer, activation in enumerate(case.activations) if activation in KINKED]
    settings = case.problem.hyperparameters
    for kink in KINKS.get(case.loss, ()):
        distances.append(np.abs(z[-1] - given.y[:, : case.sizes[-1]] - kink * settings.delta).min())
    if settings.l1 > 0:
        distances += [np.abs(W).min() for W in weights]
    return float(min(distances, default=np.inf))


def away_from_kinks(case: Case) -> Start:
    """Data and weights at which no slope jumps within a difference quotient's reach.

    Raises
    ------
    RuntimeError
        If no seed leads to any.
    """
    for seed in range(MOST_SEEDS):
        given = start(case, seed=seed)
        if nearest_kink(case, given) > NEAREST_KINK:
            return given
    raise RuntimeError("no seed keeps away from the kinks")


def gradients(case: Case, given: Start) -> tuple[Array, Array]:
    """By backpropagation and by central differences, flat."""
    y, sample_weight = given.y, None
    if given.total_weight is not None:
        y, sample_weight = given.y[:, :-1], given.y[:, -1]

    def objective(params: Array) -> tuple[float, list[Array], list[Array]]:
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
