"""What hypothesis draws for the laws of test_properties: tiny problems of odd shapes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fastmlp import train

SOLVERS = {
    "sgd": {},
    "momentum": {"solver": "sgd", "momentum": 0.9},
    "nesterov": {"solver": "sgd", "momentum": 0.8, "nesterov": True},
    "adam": {},
    "adamw": {},
    "rmsprop": {},
    "rprop": {},
}
# Where results are compared that differ by rounding: what neither jumps nor divides by a gradient that is next to nothing.
CALM_SOLVERS = ("sgd", "momentum", "nesterov")
SMOOTH = ("tanh", "logistic", "identity", "softplus", "gelu", "silu", "mish")
ACTIVATIONS = (*SMOOTH, "relu", "leaky_relu", "elu", "selu")
SMOOTH_LOSSES = ("cross_entropy", "binary_cross_entropy", "squared_error", "poisson")
LOSSES = (*SMOOTH_LOSSES, "absolute_error", "huber", "quantile")
OTHERS = ({"l1": 0.01}, {"max_grad_norm": 0.1}, {"dropout": 0.3}, {"schedule": "cosine"}, {"shuffle": False})
CLASSIFYING = LOSSES[:2]
DTYPES = ("float32", "float64")
# What rounding may make of the parameters in a few steps.
LITTLE = {"float32": 1e-4, "float64": 1e-10}


@dataclass
class Drawn:
    """A problem: what is drawn, and the data that follow from its seed."""

    n_samples: int
    n_features: int
    hidden: tuple[int, ...]
    n_outputs: int
    activation: str
    loss: str
    solver: str
    dtype: str
    batch_size: int
    epochs: int
    seed: int
    l2: float
    others: dict[str, Any]
    X: np.ndarray = field(init=False, repr=False)
    y: np.ndarray = field(init=False, repr=False)
    weights: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        self.random = np.random.default_rng(self.seed)
        self.X = self.random.uniform(-1, 1, (self.n_samples, self.n_features)).astype(self.dtype)
        self.y = self._targets()
        self.weights = self.random.uniform(0.5, 2, self.n_samples)

    def _targets(self):
        shape = (self.n_samples, self.n_outputs)
        if self.loss == "cross_entropy":
            # Every class is there.
            return self.random.permutation(np.arange(self.n_samples) % self.n_outputs)
        if self.loss == "binary_cross_entropy" and self.n_outputs == 1:
            return self.random.permutation(np.arange(self.n_samples) % 2)
        if self.loss == "binary_cross_entropy":
            return self.random.integers(2, size=shape)
        return (self.random.poisson(1.5, shape) if self.loss == "poisson" else self.random.uniform(-1, 1, shape)).astype(
            float
        )

    @property
    def sizes(self):
        return (self.n_features, *self.hidden, self.n_outputs)

    @property
    def classifies(self):
        return self.loss in CLASSIFYING

    @property
    def little(self):
        return LITTLE[self.dtype]

    def start(self):
        """Start weights and biases, to hand over."""
        random = np.random.default_rng([self.seed, 1])
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        weights = [random.uniform(-1, 1, pair).astype(np.float32) / np.float32(pair[0] ** 0.5) for pair in pairs]
        return weights, [random.uniform(-0.3, 0.3, size).astype(np.float32) for size in self.sizes[1:]]

    def options(self, **changed):
        """The keyword arguments of ``train``."""
        given = {
            "hidden": self.hidden, "activation": self.activation, "loss": self.loss, "dtype": self.dtype,
            "batch_size": None if self.solver == "rprop" else min(self.batch_size, self.n_samples), "epochs": self.epochs,
            "seed": self.seed, "l2": self.l2, "learning_rate": 0.01, "threads": 1,
        }  # fmt: skip
        return {**given, "solver": self.solver, **SOLVERS[self.solver], **self.others, **changed}

    def train(self, X=None, y=None, **changed):
        return train(self.X if X is None else X, self.y if y is None else y, **self.options(**changed))


@st.composite
def problems(draw, *, calm=False, losses=LOSSES, solvers=None, whole=False, most=(40, 5, 6), hidden=(0, 3), extras=True):
    """Any problem; a `calm` one is smooth, one that is `whole` takes full batches.

    `most` bounds rows, features and units, `hidden` the number of hidden layers.
    """
    chosen_losses = [loss for loss in losses if loss in SMOOTH_LOSSES or not calm]
    loss = draw(st.sampled_from(chosen_losses))
    n_outputs = draw(st.integers(2 if loss == "cross_entropy" else 1, 4))
    least = n_outputs if loss == "cross_entropy" else 2 if loss == "binary_cross_entropy" else 1
    n_samples = draw(st.integers(least, most[0]))
    others = {}
    if extras and not calm and draw(st.booleans()):
        others = draw(st.sampled_from(OTHERS))
    chosen = solvers or (CALM_SOLVERS if calm else tuple(SOLVERS))
    if "schedule" in others:
        chosen = tuple(name for name in chosen if name != "rprop")
    layers = st.lists(st.integers(1, most[2]), min_size=hidden[0], max_size=hidden[1])
    return Drawn(
        n_samples=n_samples,
        n_features=draw(st.integers(1, most[1])),
        hidden=tuple(draw(layers)),
        n_outputs=n_outputs,
        activation=draw(st.sampled_from(SMOOTH if calm else ACTIVATIONS)),
        loss=loss,
        solver=draw(st.sampled_from(chosen)),
        dtype=draw(st.sampled_from(DTYPES)),
        batch_size=n_samples if whole else draw(st.integers(1, n_samples)),
        epochs=draw(st.integers(1, 4)),
        seed=draw(st.integers(0, 2**32 - 1)),
        l2=draw(st.sampled_from([0.0, 0.01])),
        others=others,
    )
