"""The vocabulary both engines share. The numbers are compiled into cached kernels: append, never renumber."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any, NamedTuple

from numpy.typing import NDArray

# Row orders of no more rows than these follow from a key and the number of the epoch, where the seed is an int or a
# Generator; those of more rows are a Generator's own shuffles, as those from a RandomState always are.
MOST_COUNTED_ROWS = 4096


class Activation(IntEnum):
    """What a layer does to its weighted sums."""

    IDENTITY = 0
    LOGISTIC = 1
    TANH = 2
    RELU = 3
    LEAKY_RELU = 4
    ELU = 5
    SELU = 6
    SOFTPLUS = 7
    GELU = 8
    SILU = 9
    MISH = 10


class Loss(IntEnum):
    """What is minimised, and with it the output's activation: softmax, logistic, exp for Poisson, else identity."""

    CROSS_ENTROPY = 0
    BINARY_CROSS_ENTROPY = 1
    SQUARED_ERROR = 2
    ABSOLUTE_ERROR = 3
    HUBER = 4
    POISSON = 5
    QUANTILE = 6


class Solver(IntEnum):
    """How a gradient becomes a step."""

    SGD = 0
    ADAM = 1
    ADAMW = 2
    RMSPROP = 3
    RPROP = 4
    # Makes no step: whoever drives the run takes objective and gradient and sets the parameters.
    LBFGS = 5


class Hyperparameters(NamedTuple):
    """The settings of the solver, the loss, the penalties and of when to stop."""

    l2: float = 0.0
    l1: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    rho: float = 0.99
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)
    # The gradient's greatest norm; 0 leaves it as it is.
    max_grad_norm: float = 0.0
    label_smoothing: float = 0.0
    delta: float = 1.0
    quantile: float = 0.5
    # After so many epochs whose mean objective is not below the least by more than tol the run stalls; 0 for never.
    patience: int = 0
    tol: float = 0.0
    # scikit-learn's conventions: the penalty divided by the batch's weight sum, epsilon added before Adam's correction.
    l2_per_sample: bool = False
    epsilon_inside: bool = False


class Problem(NamedTuple):
    """What a run minimises, and how: all that an engine needs to know beside the data and the start parameters.

    `sizes` counts features, hidden units and outputs; `activations` has one entry for each hidden layer, and so has
    `dropout`, the share of a layer's outputs that is left out in each update, or it is empty.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    solver: Solver
    hyperparameters: Hyperparameters
    dropout: tuple[float, ...] = ()


class Snapshot(NamedTuple):
    """What a run has reached, so that another can go on from it as if there had been no end.

    `params` and each row of `moments` are flat, as in :class:`fastmlp.Network`; `step` counts the updates, `key` is that of
    the dropout, `best_loss` and `stalled` belong to the patience. `penalties` are the kernels' own sums over the weights.
    `previous` are the parameters before the last update, to be given out where the objective is not finite after it.
    """

    params: NDArray[Any]
    moments: NDArray[Any] | None = None
    step: int = 0
    key: int = 0
    best_loss: float = math.inf
    stalled: int = 0
    penalties: NDArray[Any] | None = None
    previous: NDArray[Any] | None = None


class Status(IntEnum):
    """Why a call of the training loop came back."""

    RUNNING = 0
    FINISHED = 1
    DIVERGED = 2
    STALLED = 3
