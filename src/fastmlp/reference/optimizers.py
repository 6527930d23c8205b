"""How a gradient becomes a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.options import Hyperparameters, Solver

Array = NDArray[Any]

MOMENTS = {Solver.SGD: 1, Solver.ADAM: 2, Solver.ADAMW: 2, Solver.RMSPROP: 2, Solver.RPROP: 2, Solver.LBFGS: 1}


def update(
    solver: Solver,
    settings: Hyperparameters,
    rate: float,
    step: int,
    p: Array,
    gradient: Array,
    moments: list[Array],
    n_weights: int,
) -> Array:
    """The parameters after update number `step`, counted from 1; the moments change in place.

    SGD: v = momentum v - rate g, p + v, or with Nesterov's look ahead p + momentum v - rate g (Sutskever et al. 2013).
    Adam: Kingma and Ba (2015), algorithm 1. AdamW: decay of the weights, the first `n_weights` parameters, apart from the
    gradient (Loshchilov and Hutter 2019). RMSprop: Tieleman and Hinton (2012), with momentum after the division, as in
    PyTorch. Rprop: Riedmiller and Braun (1993); a gradient of a new sign is forgotten (iRprop-, Igel and Huesken 2000).
    """
    if solver == Solver.SGD:
        (velocity,) = moments
        if settings.momentum == 0:
            return np.asarray(p - rate * gradient)
        velocity[...] = settings.momentum * velocity - rate * gradient
        return np.asarray(p + (settings.momentum * velocity - rate * gradient if settings.nesterov else velocity))
    if solver in (Solver.ADAM, Solver.ADAMW):
        m, v = moments
        m[...] = settings.beta_1 * m + (1 - settings.beta_1) * gradient
        v[...] = settings.beta_2 * v + (1 - settings.beta_2) * gradient**2
        corrected_m = m / (1 - settings.beta_1**step)
        root = float(np.sqrt(1 - settings.beta_2**step))
        p = p.copy()
        if solver == Solver.ADAMW:
            p[:n_weights] *= 1 - rate * settings.weight_decay
        if settings.epsilon_inside:
            return np.asarray(p - rate * corrected_m / ((np.sqrt(v) + settings.epsilon) / root))
        return np.asarray(p - rate * corrected_m / (np.sqrt(v) / root + settings.epsilon))
    if solver == Solver.RMSPROP:
        buffer, v = moments
        v[...] = settings.rho * v + (1 - settings.rho) * gradient**2
        buffer[...] = settings.momentum * buffer + gradient / (np.sqrt(v) + settings.epsilon)
        return np.asarray(p - rate * buffer)
    if solver == Solver.RPROP:
        before, sizes = moments
        if step == 1:
            sizes[...] = rate
        agreement = before * gradient
        down, up = settings.etas
        sizes *= np.where(agreement > 0, up, np.where(agreement < 0, down, 1))
        np.clip(sizes, *settings.step_sizes, out=sizes)
        before[...] = np.where(agreement < 0, 0, gradient)
        return np.asarray(p - np.sign(before) * sizes)
    moments[0][...] += gradient
    return p
