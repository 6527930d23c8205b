"""The article the package grew out of, in its own words and order, runnable.

"Implementing a neural network from scratch in Python: an introduction" (Denny Britz, WildML, 2015) trains a 2-3-2 net on
two moons. Its names are here (`X`, `y`, `build_model`, `calculate_loss`, `predict`, `plot_decision_boundary`) and give its
numbers; so are its chapters, as functions that return what they found. Its exercises are in :mod:`fastmlp.exercises`.

The article steps on the sum of the losses, at a rate of 0.01 and with a penalty of 0.01; `train` steps on their mean. For
its 200 points that is a rate of 2 and a penalty of 0.01 / 200.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp import plotting
from fastmlp.network import Network
from fastmlp.sweep import train_many
from fastmlp.training import train

if TYPE_CHECKING:
    from fastmlp.plotting import Axes

    X: NDArray[np.float64]
    y: NDArray[np.int64]

N_POINTS = 200
NOISE = 0.20
PASSES = 20_000
EPSILON = 0.01
REG_LAMBDA = 0.01
LEARNING_RATE = EPSILON * N_POINTS
L2 = REG_LAMBDA / N_POINTS
SETTINGS: dict[str, Any] = {
    "activation": "tanh",
    "solver": "sgd",
    "learning_rate": LEARNING_RATE,
    "l2": L2,
    "batch_size": None,
    "init": "lecun_normal",
}
PRINT_EVERY = 1000
HIDDEN_SIZES = (1, 2, 3, 4, 5, 20, 50)
# "Stronger regularisation would also help": where the article leaves it at that, this is how much stronger.
STRONGER = 10
STRONGER_SIZES = (3, 5, 20, 50)
N_HELD_OUT = 1000
# Where the reference would take long it is timed on this share of the passes, and its time scaled.
REFERENCE_SHARE = 0.005

Model = dict[str, NDArray[Any]]


@lru_cache(maxsize=1)
def _article_moons() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return _draw_moons(N_POINTS, 0)


def _draw_moons(n_points: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # The article's np.random.seed(0) would reach into the caller's random numbers; this gives the same points.
    from sklearn.datasets import make_moons

    points, labels = make_moons(n_points, noise=NOISE, random_state=np.random.RandomState(seed))
    return points, labels


def __getattr__(name: str) -> Any:
    # scikit-learn is slow to import: the moons are drawn when someone asks for them.
    if name in ("X", "y"):
        return _article_moons()["Xy".index(name)]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def build_model(nn_hdim: int, num_passes: int = PASSES, print_loss: bool = False) -> Model:
    """Train a net with one hidden layer on the moons, by batch gradient descent.

    Parameters
    ----------
    nn_hdim : int
        Units in the hidden layer.
    num_passes : int
        Passes through the data, each an update.
    print_loss : bool
        Print the loss after every 1000th pass, counted from 0.

    Returns
    -------
    dict
        W1 (2, nn_hdim), b1 (1, nn_hdim), W2 (nn_hdim, 2) and b2 (1, 2).

    Raises
    ------
    TypeError, ValueError
        If `nn_hdim` or `num_passes` is no whole number from 1 on.

    References
    ----------
    Denny Britz, "Implementing a neural network from scratch in Python", WildML, 2015.
    """
    points, labels = _article_moons()
    net = train(points, labels, nn_hdim, epochs=num_passes, seed=np.random.RandomState(0), **SETTINGS)
    model = as_model(net)
    if print_loss:
        for iteration, loss in losses_after(net):
            print(f"Loss after iteration {iteration}: {loss:f}")
    return model


def as_model(net: Network) -> Model:
    """The article's dict of a net with one hidden layer; its biases have two dimensions."""
    (W1, W2), (b1, b2) = net.weights, net.biases
    return {"W1": W1, "b1": b1[np.newaxis], "W2": W2, "b2": b2[np.newaxis]}


def losses_after(net: Network) -> list[tuple[int, float]]:
    """The loss after every 1000th pass, counted from 0, of a net with one hidden layer trained on the moons.

    ``loss_curve[k]`` is the loss before the update of pass k, and so the loss after that of pass k - 1.
    """
    after = [*net.loss_curve[1:], calculate_loss(as_model(net))]
    return [(iteration, float(after[iteration])) for iteration in range(0, len(after), PRINT_EVERY)]


def _weighted_sums(model: Model, x: ArrayLike) -> NDArray[Any]:
    return np.asarray(np.tanh(np.asarray(x) @ model["W1"] + model["b1"]) @ model["W2"] + model["b2"])


def calculate_loss(model: Model) -> float:
    """The mean cross-entropy on the moons, plus the penalty ``0.01 / 2 * (|W1|^2 + |W2|^2) / 200``.

    Parameters
    ----------
    model : dict
        W1, b1, W2 and b2, as `build_model` returns them.
    """
    points, labels = _article_moons()
    z2 = _weighted_sums(model, points)
    shifted = z2 - z2.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    penalty = REG_LAMBDA / 2 * ((model["W1"] ** 2).sum() + (model["W2"] ** 2).sum())
    return float((losses.sum() + penalty) / len(labels))


def predict(model: Model, x: ArrayLike) -> NDArray[np.intp]:
    """The more probable class, 0 or 1, of each row of `x`.

    Parameters
    ----------
    model : dict
        W1, b1, W2 and b2, as `build_model` returns them.
    x : array-like (n_samples, 2)

    Returns
    -------
    ndarray (n_samples,)
    """
    return np.asarray(_weighted_sums(model, x).argmax(axis=1))


def plot_decision_boundary(pred_func: Callable[[NDArray[Any]], ArrayLike]) -> Axes:
    """Draw the regions in which `pred_func` sees each class, with the moons on top.

    Parameters
    ----------
    pred_func : function
        From points (n, 2) to classes (n,), such as ``lambda x: predict(model, x)``.

    Returns
    -------
    matplotlib.axes.Axes
        Its ``figure`` can be shown in a notebook, or saved: ``axes.figure.savefig("boundary.png")``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    return plotting.decision_boundary(pred_func, *_article_moons())


class Points(NamedTuple):
    """Points (n, 2) with their classes (n,)."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]


class Data(NamedTuple):
    """Points to train on, and others to test on."""

    train: Points
    held_out: Points


class Fit(NamedTuple):
    """A net trained by the kernels, its accuracies, and the times of kernels and reference for the same passes.

    The reference was run for `reference_passes`, and its seconds scaled to those of the net.
    """

    label: str
    net: Network
    accuracy: float
    held_out: float
    seconds: float
    reference_seconds: float
    reference_passes: int


def fit(label: str, data: Data, hidden: int | Sequence[int], passes: int, reference_passes: int = 0, **options: Any) -> Fit:
    """Train with the article's settings, but for `options`, and time the reference on some of the passes."""
    settings = {**SETTINGS, **options}
    net, seconds = _timed(data, hidden, epochs=passes, **settings)
    return _fit_of(label, data, net, seconds, hidden, reference_passes, settings)


def _fit_of(
    label: str, data: Data, net: Network, seconds: float, hidden: int | Sequence[int], reference_passes: int, settings: Any
) -> Fit:
    """What there is to say of a net, with the reference's time."""
    passes = net.n_epochs
    some = min(passes, reference_passes or max(20, round(passes * REFERENCE_SHARE)))
    _, reference_seconds = _timed(data, hidden, epochs=some, engine="reference", **settings)
    return Fit(
        label,
        net,
        net.score(*data.train),
        net.score(*data.held_out),
        seconds,
        reference_seconds * passes / some,
        some,
    )


def _timed(data: Data, hidden: int | Sequence[int], **settings: Any) -> tuple[Network, float]:
    begin = time.perf_counter()
    net = train(*data.train, hidden, seed=np.random.RandomState(0), **settings)
    return net, time.perf_counter() - begin


def percent(share: float) -> str:
    """0.975 as "97.5 %"."""
    return f"{100 * share:.1f} %"


def wrong(accuracy: float) -> str:
    """An accuracy of 0.975 on the article's moons as "5 of 200"."""
    return f"{round((1 - accuracy) * N_POINTS)} of {N_POINTS}"


def change(before: float, after: float) -> str:
    """How a share moves, in words that go by its printed digits."""
    first, last = percent(before), percent(after)
    if first == last:
        return f"stays at {first}"
    return f"{'rises' if after > before else 'falls'} from {first} to {last}"


class Moons(NamedTuple):
    """The first chapter: the data."""

    data: Data
    best_single: tuple[float, float]

    @property
    def claim(self) -> str:
        """What is seen."""
        first, second = map(percent, self.best_single)
        return (
            f"Two classes that interlock: the best threshold on one measurement alone is right for {first} of the points "
            f"(first) or {second} (second)."
        )


def moons() -> Moons:
    """Draw the moons: the article's 200, and 1000 others to test on."""
    data = moons_data()
    X, y = data.train
    return Moons(data, (_best_threshold(X[:, 0], y), _best_threshold(X[:, 1], y)))


def moons_data() -> Data:
    """The article's moons, and as many held out as make an accuracy steady to a percent."""
    return Data(Points(*_article_moons()), Points(*_draw_moons(N_HELD_OUT, 1)))


def _best_threshold(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The best accuracy of calling all beyond one threshold a class, whichever class that is."""
    above = values[:, np.newaxis] > values
    right = (above == labels[:, np.newaxis]).mean(axis=0)
    return float(np.maximum(right, 1 - right).max())


class Baseline(NamedTuple):
    """The second chapter: logistic regression."""

    model: Any
    data: Data
    accuracy: float
    held_out: float

    @property
    def claim(self) -> str:
        """What is seen."""
        return (
            f"A straight line cuts through both moons and leaves {wrong(self.accuracy)} points on the wrong side; held "
            f"out, it is right for {percent(self.held_out)}."
        )


def baseline() -> Baseline:
    """Fit scikit-learn's cross-validated logistic regression, which draws a straight line."""
    from sklearn.linear_model import LogisticRegressionCV

    data = moons_data()
    with warnings.catch_warnings():
        # Its defaults are about to change names; the article's call stays as it is.
        warnings.simplefilter("ignore", FutureWarning)
        model = LogisticRegressionCV(scoring="accuracy").fit(*data.train)
    right = [float((model.predict(X) == y).mean()) for X, y in data]
    return Baseline(model, data, *right)


class ArticleNetwork(NamedTuple):
    """The third chapter: the 2-3-2 net, with its loss after every 1000th pass."""

    data: Data
    fit: Fit
    losses: list[tuple[int, float]]

    @property
    def last_losses(self) -> tuple[float, float]:
        """The losses before and after the last update, the lower first."""
        before, after = float(self.fit.net.loss_curve[-1]), calculate_loss(as_model(self.fit.net))
        return min(before, after), max(before, after)

    @property
    def claim(self) -> str:
        """What is seen."""
        low, high = self.last_losses
        return (
            f"The boundary bends between the moons and leaves {wrong(self.fit.accuracy)} points on the wrong side; held "
            f"out, it is right for {percent(self.fit.held_out)}. This run's last two losses are {low:.6f} and {high:.6f}."
        )


def network(passes: int = PASSES, reference_passes: int = 0) -> ArticleNetwork:
    """Train the article's net, three hidden units, with kernels and reference.

    `reference_passes` is how many passes the reference is timed on; 0 stands for all of them.
    """
    data = moons_data()
    trained = fit("2-3-2", data, 3, passes, reference_passes or passes)
    return ArticleNetwork(data, trained, losses_after(trained.net))


class Sizes(NamedTuple):
    """The fourth chapter: hidden layers of several sizes, and again with a stronger penalty."""

    data: Data
    sizes: tuple[int, ...]
    fits: list[Fit]
    stronger_sizes: tuple[int, ...]
    stronger: list[Fit]

    @property
    def claim(self) -> str:
        """What is seen."""
        article, largest = self.fits[self.sizes.index(3)], self.fits[-1]
        return (
            f"From 3 to {self.sizes[-1]} units the accuracy in training {change(article.accuracy, largest.accuracy)}, and "
            f"held out it {change(article.held_out, largest.held_out)}. With l2 {STRONGER} times as strong, the held-out "
            f"accuracy of {self.stronger_sizes[-1]} units {change(largest.held_out, self.stronger[-1].held_out)}."
        )


def sizes(passes: int = PASSES) -> Sizes:
    """Train nets with 1, 2, 3, 4, 5, 20 and 50 hidden units, and the larger with ten times the penalty, in one call."""
    data = moons_data()
    nets: list[tuple[str, int, float]] = [(f"2-{size}-2", size, L2) for size in HIDDEN_SIZES]
    nets += [(f"2-{size}-2, l2 x {STRONGER}", size, STRONGER * L2) for size in STRONGER_SIZES]
    configs = [{"hidden": size, "l2": l2, "seed": np.random.RandomState(0)} for _, size, l2 in nets]
    sweep = train_many(*data.train, configs, epochs=passes, **SETTINGS)
    fits = [
        _fit_of(label, data, net, seconds, size, 0, {**SETTINGS, "l2": l2})
        for (label, size, l2), net, seconds in zip(nets, sweep, sweep.seconds.tolist(), strict=True)
        if net is not None
    ]
    return Sizes(data, HIDDEN_SIZES, fits[: len(HIDDEN_SIZES)], STRONGER_SIZES, fits[len(HIDDEN_SIZES) :])
