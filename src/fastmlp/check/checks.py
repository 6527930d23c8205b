"""All that ``fastmlp check`` looks at."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastmlp.check import bits, elementary, engines
from fastmlp.check.accuracy import DIFFERENCE_TOLERANCE, DTYPES, TOLERANCES, DType, run_tolerances, update_tolerance
from fastmlp.check.cases import NETS, SOLVERS, Case
from fastmlp.options import Activation, Loss, Solver

DIFFERENCES = "reference, by finite differences"
TANH, LOGISTIC = Activation.TANH, Activation.LOGISTIC
# Counts of what differs or goes unseen.
NONE: dict[DType, float] = dict.fromkeys(DTYPES, 0.0)


class Check(NamedTuple):
    """Something measured in each dtype that has a bound, which it must not exceed."""

    what: str
    bounds: Mapping[DType, float]
    measure: Callable[[DType], float]


class Section(NamedTuple):
    """Checks in the same unit."""

    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Row:
    """What a check has found; `error` says why it has found nothing."""

    section: str
    what: str
    dtype: str
    bound: float
    found: float
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is within its bound, which a NaN never is."""
        return bool(self.found <= self.bound)


def carry_out(section: Section, check: Check, dtype: DType) -> Row:
    """Make a check; one that raises an error has failed."""
    found, error = math.nan, ""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = float(check.measure(dtype))
    except Exception as raised:  # whatever goes wrong on this machine is what is to be told
        error = f"{type(raised).__name__}: {raised}"
    return Row(section.title, check.what, dtype.__name__, check.bounds[dtype], found, error)


def _elementary() -> Section:
    names = list(elementary.FUNCTIONS)

    def missed(dtype: DType) -> float:
        return sum(elementary.special_missed(name, dtype) for name in names)

    def error(name: str, dtype: DType) -> float:
        return elementary.worst(name, dtype)[0]

    checks = [
        Check(name, {dtype: elementary.bound(name, dtype) for dtype in DTYPES}, partial(error, name)) for name in names
    ]
    return Section("elementary functions, in ulp", (*checks, Check("NaN, infinities, zeros missed", NONE, missed)))


def _differences() -> Section:
    """Tiny nets, and each option of the objective in one of them."""
    activations = [
        Case((3, 4, 2), (activation,), penalty="l1-l2", n_samples=8, batch_size=8, weights="some", dropout=(0.3,))
        for activation in Activation
    ]
    losses = [Case((3, 4, engines.outputs_of(loss)), (TANH,), loss, n_samples=8, batch_size=8) for loss in Loss]
    bounds: dict[DType, float] = {np.float64: DIFFERENCE_TOLERANCE}

    def error(cases: list[Case], dtype: DType) -> float:
        return engines.difference_error(cases)

    return Section(
        DIFFERENCES,
        (
            Check("with each activation", bounds, partial(error, activations)),
            Check("with each loss", bounds, partial(error, losses)),
        ),
    )


def _name(member: Activation | Loss) -> str:
    return member.name.lower().replace("_", " ")


def _gradients() -> Section:
    cases = {_name(activation): Case((5, 17, 9, 3), (activation,) * 2) for activation in Activation}
    cases |= {
        _name(loss): Case((5, 17, engines.outputs_of(loss)), (TANH,), loss, penalty="l1-l2", weights="some")
        for loss in Loss
    }
    cases["gradient clipped, dropout"] = Case((5, 17, 9, 3), (TANH, TANH), penalty="clipped", dropout=(0.5, 0.2))
    cases["layers of many weights"] = Case(NETS["between"], (TANH, TANH), n_samples=300, batch_size=300)
    cases["wide net"] = Case(NETS["wide"], (TANH,), n_samples=600, batch_size=600)
    return Section(
        "gradients, by the reference",
        (
            *(Check(what, TOLERANCES, partial(engines.gradient_error, case)) for what, case in cases.items()),
            Check("predictions, with each loss", TOLERANCES, engines.prediction_error),
        ),
    )


# By the names of solvers with settings; Adam with its own epsilon magnifies the rounding of small gradients in float32.
STEPS = {"sgd": "sgd", "sgd, Nesterov": "nesterov", "adam": "adam-epsilon-outside", "adamw": "adamw",
         "rmsprop": "rmsprop-momentum", "rprop": "rprop"}  # fmt: skip


def _steps() -> Section:
    cases = {
        what: Case((5, 17, 9, 3), (TANH, LOGISTIC), solver=name, n_samples=50, batch_size=16)
        for what, name in STEPS.items()
    }
    cases["adam, wide net"] = Case(NETS["wide"], (TANH,), solver="adam-epsilon-outside", n_samples=130, batch_size=60)
    return Section(
        "two steps, by the reference",
        tuple(
            Check(
                what,
                {dtype: update_tolerance(dtype, SOLVERS[case.solver][0]) for dtype in DTYPES},
                partial(engines.step_error, case),
            )
            for what, case in cases.items()
        ),
    )


def _runs() -> Section:
    """Of minibatches with a remainder, with dropout and weights; Rprop takes full batches."""
    checks, bounds, few = [], run_tolerances(engines.EPOCHS), 4
    for what, name in {**STEPS, "adam": "adam"}.items():
        batch_size = 75 if SOLVERS[name][0] == Solver.RPROP else 16
        case = Case(
            (3, 5, 17, 2), (TANH, LOGISTIC), solver=name, penalty="l2-per-sample", n_samples=75, batch_size=batch_size,
            weights="some", dropout=(0.2, 0.1),
        )  # fmt: skip
        checks.append(Check(what, bounds, partial(engines.run_error, case)))
    lbfgs: dict[str, Any] = {"solver": "lbfgs", "l2": 0.1, "activation": "tanh"}
    wide = Case(NETS["wide"], (TANH,), solver="adam-epsilon-outside", n_samples=130, batch_size=60, dropout=(0.2,))
    whole: dict[str, Any] = {
        "activation": ["gelu", "elu"], "batch_size": 16, "validation": 0.2, "schedule": "cosine",
        "class_weight": "balanced", "dropout": 0.2, "l1": 1e-3, "label_smoothing": 0.1, "max_grad_norm": 1.0,
    }  # fmt: skip
    return Section(
        f"{engines.EPOCHS} epochs, by the reference",
        (
            *checks,
            Check("lbfgs", bounds, partial(engines.train_error, **lbfgs)),
            Check(f"adam, wide net, {few} epochs", run_tolerances(few), partial(engines.run_error, wide, epochs=few)),
            Check("train with many options", bounds, partial(engines.train_error, **whole)),
        ),
    )


def _counts() -> Section:
    """Of batches that are cut into several parts and blocks, or slabs."""
    nets = {
        "narrow": Case(
            NETS["narrow"], (Activation.GELU,), Loss.CROSS_ENTROPY, "adamw", "clipped-l1-l2", 4600, 4300, "some", (0.5,)
        ),
        "between": Case(NETS["between"], (TANH, TANH), Loss.HUBER, "rmsprop", "l1", 700, 600, "none", (0.1, 0.1)),
        "wide": Case(NETS["wide"], (Activation.MISH,), Loss.POISSON, "rmsprop-momentum", "clipped", 1030, 600, "some"),
    }  # fmt: skip
    every = list(nets.values())
    threads = [
        Check(f"{what} on 1, 2 and 4 threads", NONE, partial(bits.threads_that_differ, nets[kind]))
        for what, kind in (("small net", "narrow"), ("middling net", "between"), ("wide net", "wide"))
    ]
    return Section(
        "counted: other bits, errors unseen",
        (
            *threads,
            Check("the same fit again", NONE, partial(bits.refits_that_differ, every)),
            Check("nets abreast and alone", NONE, bits.abreast_that_differ),
            Check("row orders and the reference's", {np.float64: 0}, lambda _: engines.orders_that_differ()),
            Check("NaN in parameters unseen", NONE, bits.nans_unseen),
            Check("divergence unseen", NONE, bits.divergence_unseen),
            Check("NaN and infinity in predict unseen", NONE, bits.inputs_unseen),
        ),
    )


# The chain of judges from its beginning.
SECTIONS = (_elementary(), _differences(), _gradients(), _steps(), _runs(), _counts())
