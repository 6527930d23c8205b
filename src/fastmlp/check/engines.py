"""How far the kernels are from the reference, which stays in float64: gradients, steps, runs and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp import reference
from fastmlp.check.accuracy import DType, relative_error
from fastmlp.check.cases import ENGINES, NETS, WHOLE, Case, begin, objective_and_gradient, start, trained, worst_error
from fastmlp.check.differences import away_from_kinks, gradients
from fastmlp.kernels.run import Predictor
from fastmlp.network import Network
from fastmlp.options import MOST_COUNTED_ROWS, Activation, Loss, Status
from fastmlp.training import train

Array = NDArray[Any]
# So large that a step is of the size of the parameters, whose own rounding then counts for little.
RATE = 0.25
RATES = {"sgd": 4.0, "nesterov": 4.0}
EPOCHS = 20
RUN_RATE = 2.0**-7
RUN_RATES = {"sgd": 2.0**-4, "nesterov": 2.0**-5}


def outputs_of(loss: Loss) -> int:
    """As many outputs as suit the loss."""
    return 3 if loss == Loss.CROSS_ENTROPY else 2


def gradient_error(case: Case, dtype: DType) -> float:
    """Of the objective and of each array of the gradient, relative to the largest number in it."""
    objective, gradient = objective_and_gradient("kernels", case, start(case, dtype))
    wanted, exact = objective_and_gradient("reference", case, start(case))
    return max(relative_error(objective, wanted), worst_error(case, gradient, exact))


def difference_error(cases: list[Case]) -> float:
    """Of the reference's gradients, by central differences of its objective."""
    return max(relative_error(*gradients(case, away_from_kinks(case))) for case in cases)


def step_error(case: Case, dtype: DType) -> float:
    """Of two updates, the second of which shows what the first left in the moments, relative to the largest of each."""
    rate = RATES.get(case.solver, RATE)
    updates: dict[str, list[Array]] = {}
    for engine, kind in (("kernels", dtype), ("reference", np.float64)):
        given = start(case, kind)
        run, before = begin(engine, case, given), given.params
        rates, losses, updates[engine] = np.full(1, rate, kind), np.zeros(1, kind), []
        for step in (1, 2):
            if run.advance(rates, losses, step * case.batch_size, WHOLE) != Status.FINISHED:
                raise RuntimeError(f"the {engine} made no step {step}")
            updates[engine].append(run.params.astype(np.float64) - before)
            before = run.params
    return max(relative_error(*both) for both in zip(updates["kernels"], updates["reference"], strict=True))


def run_error(case: Case, dtype: DType, epochs: int = EPOCHS) -> float:
    """Of each array of parameters, and of the losses, after some epochs."""
    rate = RUN_RATES.get(case.solver, RUN_RATE)
    ours, losses = trained("kernels", case, start(case, dtype, epochs), epochs, rate)
    theirs, exact = trained("reference", case, start(case, np.float64, epochs), epochs, rate)
    return max(worst_error(case, ours.params, theirs.params), relative_error(losses, exact))


def net_of(X: Array, y: Array, **options: Any) -> Network:
    """The net that is trained, and no Ctrl-C taken for the end of its training alone."""
    net = train(X, y, **options)
    if net.status == "interrupted":
        raise KeyboardInterrupt
    return net


def train_error(dtype: DType, **options: Any) -> float:
    """Of what :func:`fastmlp.train` returns: parameters, curves and probabilities."""
    random = np.random.default_rng(11)
    X = random.standard_normal((90, 4)).astype(np.float32)
    y = np.argmax(np.tanh(X @ random.standard_normal((4, 3))), axis=1)
    ours, theirs = (
        net_of(X, y, hidden=(9, 5), epochs=EPOCHS, seed=0, dtype=kind, engine=engine, **options)
        for engine, kind in (("kernels", dtype), ("reference", np.float64))
    )
    pairs = [(ours.params, theirs.params), (ours.loss_curve, theirs.loss_curve)]
    pairs.append((ours.predict_proba(X), theirs.predict_proba(X)))
    if ours.validation_curve is not None and theirs.validation_curve is not None:
        pairs.append((ours.validation_curve, theirs.validation_curve))
    return max(relative_error(*pair) for pair in pairs)


def prediction_error(dtype: DType) -> float:
    """Of the outputs of nets of each kind, under each loss."""
    worst = 0.0
    for turn, loss in enumerate(Loss):
        hidden = list(NETS.values())[turn % len(NETS)][:-1]
        case = Case((*hidden, outputs_of(loss)), (Activation.TANH,) * (len(hidden) - 1), loss, n_samples=333)
        given, exact = start(case, dtype), start(case)
        outputs = Predictor(case.sizes, case.activations, loss, given.params.dtype).outputs(given.params, given.X)[0]
        z, _ = reference.forward(*reference.views(exact.params, case.sizes), case.activations, exact.X)
        worst = max(worst, relative_error(outputs, reference.output(loss, z[-1])))
    return worst


def orders_that_differ() -> int:
    """Row orders that the engines draw from the same keys."""
    keys, missed = np.array([1, 20150903, (1 << 62) - 1]), 0
    for n_samples in (1, 17, MOST_COUNTED_ROWS):
        rows = np.random.default_rng(3).permutation(n_samples).astype(np.int32)[np.newaxis]
        ours, theirs = (np.full((2, n_samples, len(keys)), -1, np.int32) for _ in ENGINES)
        for engine, orders in zip(ENGINES, (ours, theirs), strict=True):
            ENGINES[engine].draw_orders(keys, 5, rows, orders)
        missed += int((ours != theirs).any(axis=1).sum())
    return missed
