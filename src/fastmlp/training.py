"""``train``: from arrays to a fitted network.

Everything is checked first. Then a compiled (or reference) run trains in chunks of about `CHUNK_SECONDS`, between which
Python draws row orders, reports progress and listens to Ctrl-C. Chunks do not show in the results.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastmlp import schedules
from fastmlp.arguments import (
    choice,
    hidden_activations,
    hidden_sizes,
    in_dtype,
    random_source,
    real,
    rows_per_batch,
    whole,
)
from fastmlp.batches import InMemory, Orders, Streamed
from fastmlp.initialise import Random, start_params
from fastmlp.inputs import as_matrix, as_targets, checked_sample, is_streamed, warn_of_wild_scales, working_dtype
from fastmlp.network import Network
from fastmlp.options import Hyperparameters, Problem, Snapshot, Solver, Status
from fastmlp.progress import Report, reporting

if TYPE_CHECKING:
    from fastmlp.kernels.run import Run as KernelRun
    from fastmlp.reference import Run as ReferenceRun

CHUNK_SECONDS = 0.05
ENGINES = ("kernels", "reference")


def train(
    X: ArrayLike,
    y: ArrayLike,
    hidden: int | Sequence[int] = (100,),
    *,
    activation: str | Sequence[str] = "relu",
    loss: str | None = None,
    solver: str = "adam",
    learning_rate: float = 1e-3,
    schedule: str | schedules.Schedule | None = None,
    momentum: float = 0.0,
    nesterov: bool = False,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    l2: float = 0.0,
    batch_size: int | str | None = "auto",
    epochs: int = 200,
    shuffle: bool | str = True,
    init: str | tuple[Sequence[ArrayLike], Sequence[ArrayLike]] = "glorot_uniform",
    seed: int | Random | None = None,
    dtype: DTypeLike | None = None,
    progress: bool = False,
    threads: int | None = None,
    engine: str = "kernels",
) -> Network:
    """Train a multi-layer perceptron.

    The objective of a batch is ``mean(loss_i) + l2 / 2 * sum of squared weights``; biases are free of the penalty.

    Parameters
    ----------
    X : array-like (n_samples, n_features)
        Numbers of any type and layout; never changed. float32 in C order is trained on as it is, in float32. With
        minibatches nothing is copied whole that would take more than 64 MB: memory maps, arrays of other types and data
        sets in files (anything with `shape`, a numeric `dtype` and rows by number) are read some batches at a time.
    y : array-like (n_samples,) or (n_samples, n_outputs)
        float is regression; int, bool, string and object are classes; an integer matrix of 0 and 1 is multilabel.
    hidden : int or sequence of int
        Units of each hidden layer; ``()`` is softmax (or linear) regression.
    activation : {"relu", "tanh", "logistic", "identity"} or a sequence of them, one for each hidden layer
    loss : {"cross_entropy", "binary_cross_entropy", "squared_error"} or None
        None goes by `y`. Squared error is half the sum over the outputs. The binary cross-entropy sums over labels and,
        for two classes, has one logistic output in place of two softmax outputs.
    solver : {"adam", "sgd"}
        Adam as in Kingma and Ba (2015), or gradient descent.
    learning_rate : float above 0
    schedule : name, function or None
        The factor on the learning rate by epoch, from 0: "constant", "exponential", "inverse_time", "step", "cosine",
        what the functions of :mod:`fastmlp.schedules` return, or any function of the epoch.
    momentum, nesterov : float from 0 and below 1, bool
        Of SGD: ``v = momentum * v - rate * gradient; w = w + v``, or with Nesterov's look ahead.
    beta_1, beta_2, epsilon : float
        Of Adam.
    l2 : float from 0 on
        Strength of the penalty on squared weights; it does not depend on the batch size.
    batch_size : int, "auto" or None
        Rows for each update: "auto" is min(200, n_samples), None all of them.
    epochs : int
        Passes through the data.
    shuffle : bool or "blocks"
        Draw a new row order for each epoch; without effect when one batch is all the data. "blocks" shuffles runs of 256
        rows, and then the rows of 64 runs at a time: for data on a disk that is slow at reading single rows.
    init : {"glorot_uniform", "glorot_normal", "he_normal", "lecun_normal"} or (weights, biases)
        Start weights (fan_in, fan_out) and biases (fan_out,) of each layer.
    seed : int, numpy.random.Generator, numpy.random.RandomState or None
        Draws start weights, then row orders. The same seed gives the same bits.
    dtype : float32, float64 or None
        What to compute in; None is float32 for float32 X, else float64.
    progress : bool
        Show a progress bar on the terminal.
    threads : int or None
        The most threads to use; None takes as many as a step keeps busy, one for small nets. The bits are the same for
        any number.
    engine : {"kernels", "reference"}
        The compiled kernels, or the same computation in plain NumPy.

    Returns
    -------
    Network
        On Ctrl-C the net trained so far, with a warning. Where the objective becomes NaN or infinite, the last net whose
        objective was finite, with a warning.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the message names it, its value and the remedy.
    """
    chosen = working_dtype(X, dtype)
    streamed = batch_size is not None and is_streamed(X, chosen)
    rows: Any = X if streamed else as_matrix(X, chosen)
    sample = checked_sample(rows, chosen) if streamed else rows
    n_samples, n_features = rows.shape
    targets = as_targets(y, n_samples, chosen, loss)
    sizes = (n_features, *hidden_sizes(hidden), targets.n_outputs)
    problem = Problem(
        sizes,
        hidden_activations(activation, len(sizes) - 2),
        targets.loss,
        choice("solver", solver, Solver),
        Hyperparameters(
            l2=real("l2", l2, 0),
            momentum=real("momentum", momentum, 0, 1, below=True),
            nesterov=bool(nesterov),
            beta_1=real("beta_1", beta_1, 0, 1, below=True),
            beta_2=real("beta_2", beta_2, 0, 1, below=True),
            epsilon=real("epsilon", epsilon, 0, above=True),
        ),
    )
    n_epochs = whole("epochs", epochs)
    rates = in_dtype(
        "learning_rate", schedules.rates(schedule, real("learning_rate", learning_rate, 0, above=True), n_epochs), chosen
    )
    in_dtype("l2", np.float64(problem.hyperparameters.l2), chosen)
    if threads is not None:
        whole("threads", threads)
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is unknown: choose one of {', '.join(map(repr, ENGINES))}")
    if shuffle not in (True, False, "blocks"):
        raise ValueError(f"shuffle={shuffle!r} is unknown: choose True, False or 'blocks'")
    size = rows_per_batch(batch_size, n_samples)
    random = random_source(seed)
    params = in_dtype("init", start_params(init, sizes, random), chosen)
    warn_of_wild_scales(sample)
    orders = Orders(random if shuffle else None, n_samples, by_blocks=shuffle == "blocks")
    batches = (Streamed if streamed else InMemory)(rows, targets.values, orders, size, n_epochs)
    run = _engine(engine)(problem, Snapshot(params), batches.X, batches.y, batches.order, n_samples, size, threads)
    with reporting(progress, n_epochs) as report:
        final, loss_curve = _train_in_chunks(run, batches, rates, n_samples, report)
    return Network(sizes, problem.activations, problem.loss, final, targets.classes, targets.flat, loss_curve)


def _engine(name: str) -> type[KernelRun] | type[ReferenceRun]:
    if name == "reference":
        from fastmlp.reference import Run

        return Run
    from fastmlp.kernels.run import Run as CompiledRun

    return CompiledRun


def _train_in_chunks(
    run: KernelRun | ReferenceRun, batches: InMemory | Streamed, rates: NDArray[Any], n_samples: int, report: Report
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Train to the end, or to Ctrl-C or divergence; return the parameters and the loss of each epoch."""
    epochs = len(rates)
    losses = np.zeros(epochs, rates.dtype)
    pace = Pace()
    status = Status.RUNNING
    try:
        while status != Status.DIVERGED and run.done < epochs * n_samples:
            until = batches.ready_until(run)
            begin = time.perf_counter()
            status = run.advance(rates, losses, until, pace.budget)
            pace.learn(time.perf_counter() - begin, status == Status.RUNNING)
            done = run.done // n_samples
            report(done, float(losses[max(0, done - 1)]), float(rates[min(done, epochs - 1)]))
    except KeyboardInterrupt:
        warnings.warn(
            f"interrupted in epoch {run.done // n_samples + 1} of {epochs}: this is the network trained so far",
            RuntimeWarning,
            stacklevel=3,
        )
    params = run.params
    done = run.done // n_samples
    if status == Status.DIVERGED or not np.isfinite(params).all():
        params = run.previous_params
        warnings.warn(
            f"the objective is not finite in epoch {done + (status == Status.DIVERGED)} of {epochs}: the learning "
            "rate is probably too large for this data; lower learning_rate or standardise X. "
            "This is the last network whose objective was finite",
            RuntimeWarning,
            stacklevel=3,
        )
    return params, losses[:done].copy()


class Pace:
    """How many blocks make a chunk of about `CHUNK_SECONDS`; it learns from the chunks that used up their budget."""

    def __init__(self) -> None:
        self.budget = 16
        self._chunks = 0

    def learn(self, seconds: float, budget_used_up: bool) -> None:
        """Take note of how long a chunk took."""
        self._chunks += 1
        # The first chunk may have compiled the kernels; one that ended where row orders ran out was shorter than it may be.
        if self._chunks > 1 and (budget_used_up or seconds > CHUNK_SECONDS):
            growth = min(8.0, CHUNK_SECONDS / max(seconds, 1e-9))
            self.budget = max(1, int(self.budget * growth))
