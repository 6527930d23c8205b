"""A training run and predictions by the compiled kernels, behind the interface that reference.py has too."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.blocks import EPOCH, FIRST, HERE, Data, aligned, lay_out, new_state, plan, scratch_size
from fastmlp.kernels.epochs import predict, run_epochs
from fastmlp.kernels.optimizers import settings_array
from fastmlp.options import Activation, Loss, Problem, Solver, Status

MOMENTS = {Solver.SGD: 1, Solver.ADAM: 2}


class Run:
    """A run in progress. See :class:`fastmlp.reference.Run` for what the arguments are."""

    def __init__(
        self,
        problem: Problem,
        params: NDArray[Any],
        X: NDArray[Any],
        y: NDArray[Any],
        order: NDArray[np.int32],
        batch_size: int,
    ) -> None:
        n_samples = len(X)
        dtype = params.dtype
        full_batch = batch_size == n_samples
        self._problem = problem
        self._n_parameters = params.size
        self._net = plan(problem.sizes, problem.activations, int(problem.loss), y.shape[1], dtype)
        self._settings = settings_array(problem.hyperparameters, dtype)
        self._state = new_state(self._net, params, MOMENTS[problem.solver])
        # Full batches always visit the same blocks: they are laid out once. Minibatches are gathered from the rows.
        place = partial(lay_out, block=self._net.block) if full_batch else writable
        self._data = Data(place(X), place(y), order.reshape(-1), n_samples, batch_size, full_batch)
        self.blocks_per_epoch = -(-n_samples // batch_size) * -(-batch_size // self._net.block)

    def advance(self, rates: NDArray[Any], losses: NDArray[Any], until: int, budget: int) -> Status:
        """Train up to epoch `until` or for `budget` blocks of samples."""
        solver = int(self._problem.solver)
        return Status(run_epochs(self._net, self._data, self._state, solver, self._settings, rates, losses, until, budget))

    def orders_begin_at(self, epoch: int) -> None:
        """Say which epoch the first of the row orders is for."""
        self._state.cursor[FIRST] = epoch

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return int(self._state.cursor[EPOCH])

    @property
    def params(self) -> NDArray[Any]:
        """A copy of the parameters."""
        return self._parameters_at(int(self._state.cursor[HERE]))

    @property
    def previous_params(self) -> NDArray[Any]:
        """A copy of the parameters before the last update."""
        return self._parameters_at(self._net.n_parameters - int(self._state.cursor[HERE]))

    def _parameters_at(self, start: int) -> NDArray[Any]:
        return self._state.params[start : start + self._n_parameters].copy()


class Predictor:
    """The shape of a net made ready for predictions."""

    def __init__(
        self, sizes: tuple[int, ...], activations: tuple[Activation, ...], loss: Loss, dtype: np.dtype[Any]
    ) -> None:
        self._net = plan(sizes, activations, int(loss), 1, dtype)
        self._order = np.arange(self._net.block, dtype=np.int32)
        self._n_outputs = sizes[-1]

    def outputs(self, params: NDArray[Any], X: NDArray[Any]) -> NDArray[Any]:
        """The net's outputs (n_samples, n_outputs) for rows in C order in the working dtype."""
        out = np.empty((len(X), self._n_outputs), X.dtype)
        scratch = aligned(scratch_size(self._net), X.dtype)
        predict(self._net, writable(params), writable(X), self._order, scratch, out.reshape(-1))
        return out


class _Memory:
    """The memory of an array, without its write protection."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def writable(array: NDArray[Any]) -> NDArray[Any]:
    """A flat view whose type Numba knows already: read-only arrays have one of their own, and would compile anew."""
    flat = array.reshape(-1)
    return flat if flat.flags.writeable else np.asarray(_Memory(flat))
