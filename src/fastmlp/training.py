"""``train``: what users ask for, set up and handed to ``fit``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from fastmlp import schedules
from fastmlp.fitting import fit
from fastmlp.initialise import Random
from fastmlp.loop import Callback
from fastmlp.network import Network
from fastmlp.samples import Source
from fastmlp.setup import DEFAULT_ACTIVATION, DEFAULT_HIDDEN, set_up
from fastmlp.validation import Metric


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
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 60.0,
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
        `dtype` and labels are those of the net. One loaded from a file goes on so if it was saved with `training=True`;
        else there are its parameters alone to go on from.
    callback : function or None
        Called with a :class:`fastmlp.loop.Epoch` after every `callback_every` epochs; stops the training by returning True.
    progress : bool
        Show a progress bar on the terminal.
    threads : int or None
        The most threads to use; None takes as many as a step keeps busy, one for small nets. The bits are the same for
        any number.
    engine : {"kernels", "reference"}
        The compiled kernels, or the same computation in plain NumPy.
    checkpoint : path or None
        A file to keep what has been reached, written whole at the end of an epoch. The same call again goes on from there,
        whatever ended the one before, Ctrl-C and `max_seconds` among others, and comes to the bits of a training without a
        break; one that had come to its end gives the same net again. The file is one that :func:`fastmlp.load` reads.
        Another call is refused: only `callback`, `callback_every`, `max_seconds`, `progress`, `threads` and
        `checkpoint_seconds` may differ. A random source has to stand where it stood, and of a `metric` that is a function
        the name is compared. L-BFGS makes its iterations again before it goes on.
    checkpoint_seconds : float from 0 on
        How long to train, at least, before the file is written again.

    Returns
    -------
    Network
        On Ctrl-C, within half a second, the net trained so far, with a warning; KeyboardInterrupt where no work had begun.
        Where the objective becomes NaN or infinite, the last net whose objective was finite, with a warning that names the
        cause and the remedy. With validation the best one in either case.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it must be, or the checkpoint is not a whole file of the same call; the message names it,
        its value and the remedy.
    """
    asked = {name: value for name, value in locals().items() if name not in ("X", "y")}
    return fit(set_up(Source(X, y), asked))
