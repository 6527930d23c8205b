"""The vocabulary both engines share. The numbers are compiled into cached kernels: append, never renumber."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Activation(IntEnum):
    """What a layer does to its weighted sums."""

    IDENTITY = 0
    LOGISTIC = 1
    TANH = 2
    RELU = 3


class Loss(IntEnum):
    """What is minimised, and with it the output's activation: softmax, logistic and identity in this order."""

    CROSS_ENTROPY = 0
    BINARY_CROSS_ENTROPY = 1
    SQUARED_ERROR = 2


class Solver(IntEnum):
    """How a gradient becomes a step."""

    SGD = 0
    ADAM = 1


class Hyperparameters(NamedTuple):
    """The settings of the solver and of the penalty."""

    l2: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    # scikit-learn's conventions: the penalty divided by the batch's weight sum, epsilon added before Adam's correction.
    l2_per_sample: bool = False
    epsilon_inside: bool = False


class Problem(NamedTuple):
    """What a run minimises, and how: all that an engine needs to know beside the data and the start parameters.

    `sizes` counts features, hidden units and outputs; `activations` has one entry for each hidden layer.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    solver: Solver
    hyperparameters: Hyperparameters


class Status(IntEnum):
    """Why a call of the training loop came back."""

    RUNNING = 0
    FINISHED = 1
    DIVERGED = 2
