"""scikit-learn's conventions for multi-layer perceptrons, as far as they are no part of a class."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options, StrOptions

from fastmlp import schedules
from fastmlp.arguments import LARGEST, check_hyperparameters, dropout_shares, hidden_activations, in_dtype, pair
from fastmlp.checks import shown
from fastmlp.options import Activation, Hyperparameters, Loss, Problem, Solver
from fastmlp.validation import Metric, checked_metric

# The schedules of scikit-learn, which gradient descent alone heeds.
OF_SGD = ("constant", "invscaling", "adaptive")
# Solvers that take all samples at once.
FULL_BATCH = ("lbfgs", "rprop")
# Solvers that take a batch as it comes, and so can go on with others.
STOCHASTIC = ("sgd", "adam", "adamw", "rmsprop")
OUT_ACTIVATIONS = {Loss.CROSS_ENTROPY: "softmax", Loss.BINARY_CROSS_ENTROPY: "logistic", Loss.POISSON: "exp"}
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)

CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({member.name.lower() for member in Activation}), "array-like"],
    "solver": [StrOptions({member.name.lower() for member in Solver})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(schedules.NAMED)), callable, schedules.InverseScaling, schedules.Adaptive],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "rho": [Interval(Real, 0, 1, closed="left")],
    "etas": [tuple, list],
    "step_sizes": [tuple, list],
    "l1": [Interval(Real, 0, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "metric": [StrOptions({"loss", "accuracy", "r2"}), callable, None],
    "callback": [callable, None],
    "n_jobs": [Integral, None],
}


# Those that are one number.
NUMBERS = [name for name, kinds in CONSTRAINTS.items() if Integral in kinds or Interval in map(type, kinds)]
# Of others, such as fractions, scikit-learn's checks can make nothing. NumPy counts time spans among integers.
NUMBER_TYPES = (int, float, np.floating, np.signedinteger, np.unsignedinteger)
OF_ONE_ESTIMATOR = ("label_smoothing", "delta", "quantile")


def keep(estimator: Any, parameters: dict[str, Any]) -> None:
    """Keep the arguments of ``__init__`` as they are, which is all that scikit-learn lets it do."""
    vars(estimator).update({name: value for name, value in parameters.items() if name != "self"})


def schedule_of(estimator: Any) -> schedules.Schedule | schedules.InverseScaling | schedules.Adaptive:
    """The learning rate's schedule as it is heeded."""
    name = estimator.learning_rate
    if isinstance(name, str) and name in OF_SGD and estimator.solver != "sgd":
        return schedules.constant()
    if isinstance(name, str) and name == "invscaling":
        return schedules.invscaling(power_t=float(estimator.power_t))
    return schedules.named(name, int(estimator.max_iter))


def hidden_units(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Units of each hidden layer."""
    units = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    if not all(isinstance(size, Integral) for size in units):
        raise TypeError(f"hidden_layer_sizes must be whole numbers, got {units}.")
    if any(size <= 0 for size in units):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {units}.")
    return tuple(int(size) for size in units)


def activations_of(estimator: Any, n_hidden: int) -> tuple[Activation, ...]:
    """The activation of each hidden layer."""
    activation = estimator.activation
    return hidden_activations(activation if isinstance(activation, str) else list(activation), n_hidden)


def epochs_to_wait(estimator: Any) -> int:
    """Epochs without a gain until training ends: scikit-learn waits for one more than it is told."""
    return min(int(estimator.n_iter_no_change), LARGEST - 1) + 1


def check_numbers(estimator: Any) -> None:
    """Raise where scikit-learn takes for a number what is none here: a truth value, or more than there is room for.

    Raises
    ------
    InvalidParameterError
        Which is both a TypeError and a ValueError.
    """
    for name in (*NUMBERS, *OF_ONE_ESTIMATOR):
        value, called = getattr(estimator, name, None), f"The {name!r} parameter of {type(estimator).__name__}"
        is_number = isinstance(value, NUMBER_TYPES) and not isinstance(value, bool | np.timedelta64)
        if isinstance(value, Real | np.timedelta64) and not is_number:
            raise InvalidParameterError(f"{called} must be a number, got {value!r}.")
        if isinstance(value, Integral) and abs(int(value)) > LARGEST:
            raise InvalidParameterError(f"{called} must be smaller, got {shown(value)}.")


def problem_of(estimator: Any, sizes: tuple[int, ...], loss: Loss, waits: bool) -> Problem:
    """What is minimised; with patience where the run itself `waits` for gains."""
    solver = Solver[estimator.solver.upper()]
    settings = Hyperparameters(
        l2=float(estimator.alpha),
        l1=float(estimator.l1),
        momentum=float(estimator.momentum) if solver == Solver.SGD else 0.0,
        nesterov=bool(estimator.nesterovs_momentum),
        beta_1=float(estimator.beta_1),
        beta_2=float(estimator.beta_2),
        epsilon=float(estimator.epsilon),
        weight_decay=float(estimator.weight_decay),
        rho=float(estimator.rho),
        etas=tuple(estimator.etas),
        step_sizes=tuple(estimator.step_sizes),
        max_grad_norm=float(estimator.max_grad_norm or 0),
        label_smoothing=float(getattr(estimator, "label_smoothing", 0.0)),
        delta=float(getattr(estimator, "delta", 1.0)),
        quantile=float(getattr(estimator, "quantile", 0.5)),
        patience=epochs_to_wait(estimator) if waits and estimator.n_iter_no_change < np.inf else 0,
        tol=float(estimator.tol),
        l2_per_sample=True,
        epsilon_inside=True,
    )
    n_hidden = len(sizes) - 2
    shares = dropout_shares(estimator.dropout, n_hidden)
    return Problem(sizes, activations_of(estimator, n_hidden), loss, solver, settings, shares)


def check_problem(problem: Problem, batch_size: int | str, metric: Metric | None, dtype: np.dtype[Any]) -> None:
    """Raise ValueError where parameters do not go together, or dtype cannot hold them."""
    settings = problem.hyperparameters
    pair("etas", settings.etas, 0, 1)
    pair("step_sizes", settings.step_sizes, 0, 0)
    if problem.solver == Solver.LBFGS and (problem.dropout or settings.max_grad_norm):
        raise ValueError(
            "solver='lbfgs' takes neither dropout nor max_grad_norm; leave them out, or choose another solver."
        )
    if problem.solver == Solver.RPROP and batch_size != "auto":
        raise ValueError(f"batch_size={batch_size!r}: solver='rprop' takes full batches; leave it at 'auto'.")
    if metric is not None:
        checked_metric(metric, problem.loss)
    in_dtype("alpha", np.float64(settings.l2), dtype)
    check_hyperparameters(settings, dtype)


def epochs_without_gain(losses: list[float], best: float, before: int, tol: float, patience: float) -> int:
    """How many epochs at the end were no gain, after so many `before`; anew from 0 each time that patience has run out."""
    count = before
    for loss in losses:
        count = count + 1 if loss > best - tol else 0
        best = min(best, loss)
        count = 0 if count > patience else count
    return count
