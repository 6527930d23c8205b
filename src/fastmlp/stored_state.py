"""What a training has reached, as files have it: a part of their header, and arrays beside the net's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.initialise import Remembered
from fastmlp.network import Network
from fastmlp.options import Hyperparameters, Problem, Snapshot, Solver
from fastmlp.state import Best, TrainingState

Arrays = Mapping[str, NDArray[Any]]
PREFIX = "training."
SCALARS = ("best_loss", "rate_factor", "best_score")


def described_state(state: TrainingState) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The state of a training as JSON has it, and its arrays.

    Raises
    ------
    TypeError
        If its random numbers come from a bit generator that is not NumPy's own.
    """
    run, best, problem = state.run, state.best, state.problem
    arrays = {
        "params": run.params, "moments": run.moments, "penalties": run.penalties, "previous": run.previous,
        "order": state.order, "held_out": state.held_out, "best_params": best.params, "start": state.start,
        # They may be infinite, which JSON has no word for.
        "scalars": np.array([run.best_loss, state.rate_factor, best.score]),
    }  # fmt: skip
    header = {
        "solver": problem.solver.name.lower(),
        "hyperparameters": problem.hyperparameters._asdict(),
        "dropout": problem.dropout,
        "step": run.step,
        "key": run.key,
        "stalled": run.stalled,
        "random": state.random.described(),
        "counted": state.counted,
        "n_rows": state.n_rows,
        "share": state.share,
        "best_epoch": best.epoch,
        "best_stalled": best.stalled,
        "validated": state.validated,
        "iterations": state.iterations,
    }
    return header, {PREFIX + name: array for name, array in arrays.items() if array is not None}


def state_from(header: Mapping[str, Any], arrays: Arrays, net: Network) -> TrainingState:
    """The state that was described so, of a training of this net.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the header or the arrays are not what :func:`described_state` makes of such a net's training.
    """
    given = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
    best_loss, rate_factor, best_score = map(float, given["scalars"])
    settings = header["hyperparameters"]
    pairs = {name: tuple(settings[name]) for name in ("etas", "step_sizes")}
    counted, validated = header["counted"], header["validated"]
    key, epoch = (0, 0) if counted is None else counted
    state = TrainingState(
        Problem(
            net.sizes, net.activations, net.loss, Solver[header["solver"].upper()],
            Hyperparameters(**{**settings, **pairs}), tuple(header["dropout"]),
        ),
        Snapshot(
            given["params"], given.get("moments"), header["step"], header["key"], best_loss, header["stalled"],
            given.get("penalties"), given.get("previous"),
        ),
        Remembered.of(header["random"]),
        given["order"],
        None if counted is None else (key, epoch),
        header["n_rows"],
        header["share"],
        given.get("held_out"),
        rate_factor,
        Best(best_score, header["best_epoch"], given.get("best_params"), header["best_stalled"]),
        None if validated is None else tuple(validated),
        given.get("start"),
        header["iterations"],
    )  # fmt: skip
    _check(state, net)
    return state


def _check(state: TrainingState, net: Network) -> None:
    """Raise ValueError where the parts do not fit together: engines do not look at lengths."""
    from fastmlp.reference.optimizers import MOMENTS

    size, dtype, run = net.params.size, net.params.dtype, state.run
    moments = MOMENTS[state.problem.solver]
    for name, array in (("params", run.params), ("best_params", state.best.params), ("start", state.start)):
        if array is not None and (array.shape != (size,) or array.dtype != dtype or not np.isfinite(array).all()):
            raise ValueError(f"training.{name} are not {size} finite numbers of {dtype}")
    for name, array, shape in (("moments", run.moments, (moments, size)), ("previous", run.previous, (size,))):
        if array is not None and (array.shape != shape or array.dtype != dtype):
            raise ValueError(f"training.{name} are not {shape} numbers of {dtype}")
    if run.penalties is not None and (run.penalties.ndim != 1 or run.penalties.dtype != dtype):
        raise ValueError(f"training.penalties are not numbers of {dtype}")
    held_out = state.held_out
    for name, rows in (("order", state.order), *(() if held_out is None else (("held_out", held_out),))):
        if rows is None or rows.ndim != 1 or rows.dtype.kind != "i":
            raise ValueError(f"training.{name} are not row numbers")
    if held_out is not None and (len(held_out) == 0 or held_out[0] < 0 or (np.diff(held_out) < 1).any()):
        raise ValueError("training.held_out are not increasing row numbers")
    whole = (
        run.step, run.key, run.stalled, state.n_rows, state.best.epoch, state.best.stalled, state.iterations,
        *(state.counted or ()),
    )  # fmt: skip
    # Below what the kernels count to.
    if not all(type(number) is int and 0 <= number < 1 << 62 for number in whole):
        raise ValueError("the training's counts are not whole numbers from 0 on")
    if held_out is not None and (held_out[-1] >= state.n_rows or len(held_out) == state.n_rows):
        raise ValueError(f"training.held_out are not below {state.n_rows}, or all of them")
    if not 0 < state.rate_factor <= 1:
        raise ValueError(f"training: the factor on the rate is {state.rate_factor}, and not above 0 and at most 1")
    if state.iterations > net.n_epochs:
        raise ValueError(f"training: {state.iterations} iterations are more than the {net.n_epochs} epochs of the net")
