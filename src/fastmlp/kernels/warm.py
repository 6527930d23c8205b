"""The compiling that trainings and predictions would do, done ahead by the smallest ones that there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.kernels.abreast import run_abreast
from fastmlp.kernels.abreast_run import AbreastRun, lanes_of, packed
from fastmlp.kernels.blocks import MOST_WEIGHTS_IN_PARTS
from fastmlp.kernels.cache import KernelCache
from fastmlp.kernels.epochs import predict, run_blocks, run_slabs
from fastmlp.kernels.orders import draw_orders
from fastmlp.kernels.run import Predictor, Run
from fastmlp.options import Hyperparameters, Loss, Problem, Snapshot, Solver

NARROW, WIDE = (1, 1), (MOST_WEIGHTS_IN_PARTS + 1, 1)


class Entry(NamedTuple):
    """An entry point, as Numba dispatches it, and a call by which it gets the types that all calls have."""

    name: str
    dispatcher: Any
    call: Callable[[], Any]

    def warm(self) -> bool:
        """Call it; say whether it had to be compiled, not only read from disk."""
        compiled = _compiled(self.dispatcher)
        self.call()
        return _compiled(self.dispatcher) > compiled

    def is_kept(self) -> bool:
        """Whether later processes will find on disk what this one has called."""
        cache, codegen = self.dispatcher._cache, self.dispatcher.targetctx.codegen()
        return isinstance(cache, KernelCache) and all(cache.holds(types, codegen) for types in self.dispatcher.signatures)


def _compiled(dispatcher: Any) -> int:
    return sum(dispatcher.stats.cache_misses.values())


def entries(dtype: np.dtype[Any]) -> list[Entry]:
    """All entry points of trainings and predictions."""
    return [
        Entry("draw_orders", draw_orders, _draw),
        Entry(f"run_blocks {dtype}", run_blocks, partial(_train, NARROW, dtype)),
        Entry(f"run_slabs {dtype}", run_slabs, partial(_train, WIDE, dtype)),
        Entry(f"run_abreast {dtype}", run_abreast, partial(_train_abreast, dtype)),
        Entry(f"predict {dtype}", predict, partial(_predict, dtype)),
    ]


# Entry points that are known to be ready.
_READY: set[str] = set()


def are_ready(names: Iterable[str]) -> bool:
    """Whether entry points of these names need no compiling and no reading from disk any more."""
    return _READY.issuperset(names)


def make_ready(names: Collection[str]) -> None:
    """Compile entry points by their names, or read them from disk."""
    for dtype in (np.float32, np.float64):
        for entry in entries(np.dtype(dtype)):
            if entry.name in names and entry.name not in _READY:
                entry.warm()
                _READY.add(entry.name)


def _problem(sizes: tuple[int, ...]) -> Problem:
    return Problem(sizes, (), Loss.SQUARED_ERROR, Solver.SGD, Hyperparameters())


def _zeros(sizes: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Snapshot, NDArray[Any], NDArray[Any]]:
    """What a net without hidden layers begins with, one row of features and its targets."""
    n_features, n_outputs = sizes
    start = Snapshot(np.zeros((n_features + 1) * n_outputs, dtype))
    return start, np.zeros((1, n_features), dtype), np.zeros((1, n_outputs), dtype)


def _draw() -> None:
    Run.draw_orders(np.zeros(1, np.int64), 0, np.zeros((1, 1), np.int32), np.empty((1, 1, 1), np.int32))


def _train(sizes: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    start, X, y = _zeros(sizes, dtype)
    run = Run(_problem(sizes), start, X, y, np.empty(0, np.int32), n_samples=1, batch_size=1)
    run.advance(np.ones(1, dtype), np.zeros(1, dtype), until=1, budget=1)


def _train_abreast(dtype: np.dtype[Any]) -> None:
    start, X, y = _zeros(NARROW, dtype)
    width = lanes_of(dtype)
    order = np.zeros((1, 1, width), np.int32)
    run = AbreastRun([_problem(NARROW)], [start], packed(X, y), 1, order, batch_size=1, total_weights=None)
    run.advance(np.ones((1, width), dtype), np.zeros((1, width), dtype), until=1, budget=1)


def _predict(dtype: np.dtype[Any]) -> None:
    start, X, _ = _zeros(NARROW, dtype)
    Predictor(NARROW, (), Loss.SQUARED_ERROR, dtype).outputs(start.params, X)
