"""``train``: what users ask for, checked before any work starts, and handed to ``fit``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastmlp import schedules
from fastmlp.arguments import check_hyperparameters, choice, dropout_shares, pair, real, whole
from fastmlp.fitting import ENGINES, FULL_BATCH, Setup, fit
from fastmlp.initialise import Random
from fastmlp.inputs import working_dtype
from fastmlp.loop import Callback
from fastmlp.network import Network
from fastmlp.options import Hyperparameters, Problem, Solver
from fastmlp.samples import read
from fastmlp.state import Before
from fastmlp.validation import Metric, checked_metric

DEFAULT_HIDDEN = (100,)
DEFAULT_ACTIVATION = "relu"
# scikit-learn's n_iter_no_change.
ADAPTIVE_PATIENCE = 10


def train(
    X: ArrayLike,
    y: ArrayLike,
    hidden: int | Sequence[int] = DEFAULT_HIDDEN,
    *,
    activation: str | Sequence[str] = DEFAULT_ACTIVATION,
    loss: str | None = None,
    solver: str = "adam",
    learning_rate: float = 1e-3,
    schedule: schedules.AnySchedule = None,
    momentum: float = 0.0,
    nesterov: bool = False,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
    rho: float = 0.99,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    max_fun: int = 15_000,
    l2: float = 0.0,
    l1: float = 0.0,
    dropout: float | Sequence[float] = 0.0,
    max_grad_norm: float | None = None,
    label_smoothing: float = 0.0,
    delta: float = 1.0,
    quantile: float = 0.5,
    batch_size: int | str | None = "auto",
    epochs: int = 200,
    shuffle: bool | str = True,
    init: str | tuple[Sequence[ArrayLike], Sequence[ArrayLike]] = "glorot_uniform",
    seed: int | Random | None = None,
    dtype: DTypeLike | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    validation: float | tuple[ArrayLike, ArrayLike] | tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    metric: Metric = "loss",
    patience: int | None = None,
    tol: float = 1e-4,
    max_seconds: float | None = None,
    start: Network | None = None,
    callback: Callback | None = None,
    callback_every: int = 1,
    progress: bool = False,
    threads: int | None = None,
    engine: str = "kernels",
) -> Network:
    """Train a multi-layer perceptron.

    The objective of a batch is ``sum(w_i * loss_i) / sum(w_i) + l2 / 2 * sum of squared weights + l1 * sum of absolute
    weights``, with the samples' weights w; biases are free of the penalties. A batch without weight is passed over.

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
    activation : name, or a sequence of names, one for each hidden layer
        "relu", "tanh", "logistic", "identity", "leaky_relu" (slope 0.01), "elu", "selu", "softplus", "gelu" (exact, by the
        normal distribution), "silu", "mish".
    loss : name or None
        None goes by `y`: "cross_entropy" of softmax outputs for classes; "binary_cross_entropy" of logistic ones for a 0/1
        matrix, summed over labels (for two classes it has one output in place of two); "squared_error", half the sum over
        the outputs, for floats. Named, also "absolute_error", "huber", "quantile" (the pinball loss), and "poisson", half
        the deviance of exp outputs, for counts and rates; all sums over the outputs.
    solver : {"adam", "sgd", "adamw", "rmsprop", "rprop", "lbfgs"}
        Adam as in Kingma and Ba (2015); gradient descent; Adam with the weights' decay apart from the gradient (Loshchilov
        and Hutter 2019); RMSprop; Rprop (iRprop-), a step of its own for each weight, which begins with the learning rate,
        on full batches; L-BFGS, scipy's, on full batches, whose iterations are the epochs and which ends where no part of
        the gradient is above `tol`.
    learning_rate : float above 0
    schedule : name, function or None
        The factor on the learning rate by epoch, from 0: "constant", "exponential", "inverse_time", "step", "cosine",
        "invscaling", what the functions of :mod:`fastmlp.schedules` return, or any function of the epoch. "adaptive"
        divides the rate by 5 where training would else stop early.
    momentum, nesterov : float from 0 and below 1, bool
        Of SGD: ``v = momentum * v - rate * gradient; w = w + v``, or with Nesterov's look ahead. RMSprop has momentum too.
    beta_1, beta_2, epsilon : float
        Of Adam and AdamW; `epsilon` of RMSprop too.
    weight_decay : float from 0 on
        Of AdamW: each step multiplies the weights by ``1 - rate * weight_decay``.
    rho : float from 0 and below 1
        Of RMSprop, how much of the mean of squares a step keeps: what PyTorch calls alpha.
    etas, step_sizes : pairs of floats
        Of Rprop: by what a step shrinks or grows, and the least and the greatest one.
    max_fun : int
        Of L-BFGS: the most evaluations of the objective.
    l2, l1 : float from 0 on
        Strength of the penalties on squared and absolute weights; they do not depend on the batch size.
    dropout : float from 0 and below 1, or one for each hidden layer
        The share of a layer's outputs that each update leaves out, while the others are scaled up (Srivastava et al. 2014).
        Predictions use all of them. The choice hangs on the seed, not on blocks or threads.
    max_grad_norm : float above 0 or None
        Scale the gradient, penalties included, down to this Euclidean norm where it is larger.
    label_smoothing : float from 0 to 1
        The share of each target that is spread evenly over the classes (for multilabel nets: over 0 and 1).
    delta : float above 0
        Where the Huber loss turns from a square to a line.
    quantile : float between 0 and 1
        What the quantile loss estimates.
    batch_size : int, "auto" or None
        Rows for each update: "auto" is min(200, n_samples), None all of them.
    epochs : int
        Passes through the data; with `start`, further ones.
    shuffle : bool or "blocks"
        Draw a new row order for each epoch; without effect when one batch is all the data. "blocks" shuffles runs of 256
        rows, and then the rows of 64 runs at a time: for data on a disk that is slow at reading single rows.
    init : {"glorot_uniform", "glorot_normal", "he_normal", "lecun_normal"} or (weights, biases)
        Start weights (fan_in, fan_out) and biases (fan_out,) of each layer.
    seed : int, numpy.random.Generator, numpy.random.RandomState or None
        Draws start weights, then the samples held out, dropout's key and row orders. The same seed gives the same bits.
    dtype : float32, float64 or None
        What to compute in; None is float32 for float32 X, else float64.
    sample_weight : array-like (n_samples,) or None
        How much each sample counts, from 0 on.
    class_weight : dict from labels to weights, "balanced" or None
        How much the samples of each class count, beside their own weights; labels left out count 1. "balanced" is
        ``n_samples / (n_classes * count)``.
    validation : float between 0 and 1, (X_val, y_val), (X_val, y_val, sample_weight_val) or None
        Samples to measure the net on after each epoch: a share of these, the same of each class, which are then not trained
        on, or others. The net returned is that of the epoch with the best score.
    metric : {"loss", "accuracy", "r2"} or function of (y_true, y_pred)
        The validation's score; of a function the larger the better.
    patience : int or None
        Stop after so many epochs in a row that were no gain.
    tol : float from 0 on
        An epoch is a gain if its score is at least this much above the best before or, without validation, its mean
        objective this much below the least before. L-BFGS stops where no part of the gradient is larger, or where the
        objective falls by no more than 2e-9 of itself.
    max_seconds : float above 0 or None
        Stop after this time, at the end of a chunk of some 50 ms.
    start : Network or None
        Go on from this net, its optimiser's state and its random numbers, which `seed`, if given, replaces: k epochs and
        then n - k give the bits that n do. Curves and the numbers of epochs go on too; `hidden`, `activation`, `loss`,
        `dtype` and labels are those of the net. A loaded net has its parameters alone to go on from.
    callback : function or None
        Called with a :class:`fastmlp.loop.Epoch` after every `callback_every` epochs; stops the training by returning True.
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
        objective was finite, with a warning. With validation the best one in either case.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be; the message names it, its value and the remedy.
    """
    chosen_solver = choice("solver", solver, Solver)
    plan = schedules.named(schedule, whole("epochs", epochs))
    wait = None if patience is None else whole("patience", patience)
    if isinstance(plan, schedules.Adaptive) and wait is None:
        wait = ADAPTIVE_PATIENCE
    settings = Hyperparameters(
        l2=real("l2", l2, 0),
        l1=real("l1", l1, 0),
        momentum=real("momentum", momentum, 0, 1, below=True),
        nesterov=bool(nesterov),
        beta_1=real("beta_1", beta_1, 0, 1, below=True),
        beta_2=real("beta_2", beta_2, 0, 1, below=True),
        epsilon=real("epsilon", epsilon, 0, above=True),
        weight_decay=real("weight_decay", weight_decay, 0),
        rho=real("rho", rho, 0, 1, below=True),
        etas=pair("etas", etas, 0, 1),
        step_sizes=pair("step_sizes", step_sizes, 0, 0),
        max_grad_norm=0.0 if max_grad_norm is None else real("max_grad_norm", max_grad_norm, 0, above=True),
        label_smoothing=real("label_smoothing", label_smoothing, 0, 1),
        delta=real("delta", delta, 0, above=True),
        quantile=real("quantile", quantile, 0, 1, above=True, below=True),
        # With validation it is the score that may stall, and L-BFGS has a rule of its own.
        patience=0 if wait is None or validation is not None or chosen_solver == Solver.LBFGS else wait,
        tol=real("tol", tol, 0),
    )
    if not isinstance(engine, str) or engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is unknown: choose one of {', '.join(map(repr, ENGINES))}")
    if not isinstance(shuffle, bool | np.bool_) and not (isinstance(shuffle, str) and shuffle == "blocks"):
        raise ValueError(f"shuffle={shuffle!r} is unknown: choose True, False or 'blocks'")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback={callback!r}: give a function, or None")
    full_batch = batch_size is None or chosen_solver in FULL_BATCH
    # L-BFGS adds up what batches have to say.
    needs_all = full_batch and chosen_solver != Solver.LBFGS
    before = Before(start)
    samples = read(
        X, y, working_dtype(X, before.dtype(dtype)), loss=loss, like=before.kind(loss), sample_weight=sample_weight,
        class_weight=class_weight, full_batch=needs_all,
    )  # fmt: skip
    kind = samples.targets.kind
    sizes, activations = before.shape(
        samples.X.shape[1], kind.n_outputs, hidden, activation, (DEFAULT_HIDDEN, DEFAULT_ACTIVATION)
    )
    problem = Problem(sizes, activations, kind.loss, chosen_solver, settings, dropout_shares(dropout, len(activations)))
    _check_solver(problem, batch_size, schedule)
    check_hyperparameters(settings, samples.targets.values.dtype)
    return fit(
        Setup(
            problem=problem,
            samples=samples,
            before=before,
            validation=validation,
            metric=checked_metric(metric, kind.loss),
            learning_rate=real("learning_rate", learning_rate, 0, above=True),
            schedule=schedule,
            epochs=epochs,
            batch_size=None if full_batch else batch_size,
            shuffle=shuffle,
            init=init,
            seed=seed,
            patience=wait,
            max_seconds=math.inf if max_seconds is None else real("max_seconds", max_seconds, 0, above=True),
            max_fun=whole("max_fun", max_fun),
            callback=callback,
            callback_every=whole("callback_every", callback_every),
            progress=progress,
            threads=None if threads is None else whole("threads", threads),
            engine=engine,
        )
    )


def _check_solver(problem: Problem, batch_size: int | str | None, schedule: schedules.AnySchedule) -> None:
    """Raise ValueError where options do not go with the solver."""
    name = problem.solver.name.lower()
    if problem.solver not in FULL_BATCH:
        return
    if batch_size not in (None, "auto"):
        raise ValueError(f"batch_size={batch_size!r}: solver={name!r} takes full batches; leave batch_size out")
    if schedule is not None:
        raise ValueError(f"schedule={schedule!r}: solver={name!r} finds its own steps; leave schedule at None")
    if problem.solver != Solver.LBFGS:
        return
    if problem.dropout:
        raise ValueError("dropout: solver='lbfgs' needs the same objective at each step; choose another solver")
    if problem.hyperparameters.max_grad_norm:
        raise ValueError("max_grad_norm: solver='lbfgs' needs the gradient as it is; leave max_grad_norm at None")
