"""The part of the estimators' docstrings that both have."""

from __future__ import annotations

from textwrap import indent
from typing import TypeVar

Class = TypeVar("Class", bound=type)

SHARED_PARAMETERS = """\
hidden_layer_sizes : array-like of int, default=(100,)
    Units of each hidden layer; ``()`` for none.
activation : name, or a sequence of names, one for each hidden layer, default="relu"
    "identity", "logistic", "tanh", "relu"; beyond scikit-learn's also "leaky_relu", "elu", "selu", "softplus", "gelu",
    "silu", "mish".
solver : {"lbfgs", "sgd", "adam", "adamw", "rmsprop", "rprop"}, default="adam"
    As in :func:`fastmlp.train`; the first three are scikit-learn's, with its numbers.
alpha : float, default=0.0001
    Strength of the L2 penalty, which is divided by the number (or the weight) of a batch's samples.
batch_size : int or "auto", default="auto"
    Rows for each update; "auto" is ``min(200, n_samples)``. "lbfgs" and "rprop" take all of them.
learning_rate : name or function, default="constant"
    "constant", "invscaling" (divided by a power of the samples seen) and "adaptive" (divided by 5 where training would
    else stop) are heeded by "sgd" alone, as in scikit-learn. "exponential", "inverse_time", "step", "cosine", what
    :mod:`fastmlp.schedules` returns and any function from the epoch, counted from 0, to a factor suit every solver.
learning_rate_init : float, default=0.001
power_t : float, default=0.5
    The power of "invscaling".
max_iter : int, default=200
    Epochs at most, or iterations of "lbfgs".
shuffle : bool, default=True
    Draw a new row order for each epoch.
random_state : int, RandomState instance or None, default=None
    Draws start weights, the samples held out, row orders and dropout: the same numbers as scikit-learn's.
tol : float, default=1e-4
    What an epoch must gain in loss, or in the validation's score, to count. "lbfgs" stops where no part of the gradient is
    larger.
verbose : bool or int, default=False
    Show a progress bar on a terminal; elsewhere print each epoch's loss to stdout.
warm_start : bool, default=False
    Go on from the weights of the last ``fit``. Beyond scikit-learn, the rows held out then are held out again.
momentum, nesterovs_momentum : float, default=0.9; bool, default=True
    Of "sgd".
early_stopping : bool, default=False
    Hold out `validation_fraction` of the samples, stop after `n_iter_no_change` epochs without a gain in their score, and
    keep the weights that scored best.
validation_fraction : float, default=0.1
beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
    Of "adam" and "adamw"; `epsilon` of "rmsprop" too.
n_iter_no_change : int or inf, default=10
    Epochs without a gain after which training stops.
max_fun : int, default=15000
    The most evaluations of the objective by "lbfgs"."""

SHARED_EXTRAS = """\
l1 : float, default=0.0
    Strength of the penalty on absolute weights; it does not depend on the batch size.
dropout : float, or one for each hidden layer, default=0.0
    The share of a layer's outputs that each update leaves out.
weight_decay : float, default=0.01
    Of "adamw": each step multiplies the weights by ``1 - rate * weight_decay``.
rho : float, default=0.99
    Of "rmsprop", how much of the mean of squares a step keeps.
etas, step_sizes : pairs of floats, default=(0.5, 1.2), (1e-6, 50)
    Of "rprop".
max_grad_norm : float or None, default=None
    Scale the gradient down to this norm where it is larger.
metric : {"loss", "accuracy", "r2"}, function of (y_true, y_pred) or None, default=None
    The validation's score, the larger the better; None is scikit-learn's.
callback : function or None, default=None
    Called with a :class:`fastmlp.loop.Epoch` after each epoch; stops training by returning True.
n_jobs : int or None, default=None
    The most threads a fit may use; None or -1 leaves it to the size of the net. The numbers are the same for any."""

SHARED_ATTRIBUTES = """\
coefs_, intercepts_ : lists of ndarray (fan_in, fan_out) and (fan_out,)
    Weights and biases of each layer.
loss_, best_loss_ : float
    The last and the least of `loss_curve_`; with `early_stopping` there is no least, but None.
loss_curve_ : list of float
    Each epoch's mean objective, penalty included, over all fits of a warm start. Where rows are weighted, the mean is
    weighted; of several outputs the squared errors add up, as their gradient does; no probability is clipped. (scikit-learn
    reports the outputs' mean, and no more than 36 for a row that is wrong beyond doubt, in float32 16.)
validation_scores_, best_validation_score_ : list of float, float; or None
    The scores on samples held out or given, and the best of them with `early_stopping`.
validation_loss_curve_ : list of float or None
    The loss of the same samples, without penalties.
n_iter_ : int
    Epochs of the last call.
t_ : int
    Samples seen.
n_layers_, n_outputs_, out_activation_ : int, int, str
n_features_in_, feature_names_in_ : int, ndarray of str
network_ : Network
    The fitted net as :func:`fastmlp.train` returns one, to be saved for instance."""

SHARED_NOTES = """\
Numbers equal scikit-learn's but for rounding. Where scikit-learn errs, this does not: the best weights are given back under
a warm start too, rows held out stay held out, a batch without weight changes nothing, and "lbfgs" keeps float32. Where the
objective becomes NaN or infinite training stops at once: with ``ValueError``, or under `early_stopping` with a warning, a
score of NaN and the best weights so far. Sparse X is made dense a few batches at a time.

One object may predict in many threads at once; two fits of one object may not overlap."""


def documented(cls: Class) -> Class:
    """Put the shared parts into a class's docstring, where it names them in braces."""
    if cls.__doc__ is not None:
        for name, text in (
            ("parameters", SHARED_PARAMETERS),
            ("extras", SHARED_EXTRAS),
            ("attributes", SHARED_ATTRIBUTES),
            ("notes", SHARED_NOTES),
        ):
            cls.__doc__ = cls.__doc__.replace(f"    {{{name}}}", indent(text, "    "))
    return cls
