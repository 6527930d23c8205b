"""``train_many``: many nets in one call."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.arguments import real, whole
from fastmlp.inputs import as_array
from fastmlp.progress import counting
from fastmlp.samples import Source
from fastmlp.sweep.configs import check_names, expanded, settle_seeds
from fastmlp.sweep.crew import Crew
from fastmlp.sweep.halt import Halt
from fastmlp.sweep.result import Sweep
from fastmlp.sweep.rows import row_numbers
from fastmlp.sweep.tasks import Outcome, Setups, missing, tasks_of

Rows = list[NDArray[np.intp]] | None


def train_many(
    X: ArrayLike,
    y: ArrayLike,
    configs: Iterable[Mapping[str, Any]] | Mapping[str, Any],
    *,
    rows: Sequence[ArrayLike] | None = None,
    n_draws: int | None = None,
    draw_seed: int | np.random.Generator | np.random.RandomState | None = None,
    halving: int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    callback: Callable[[Outcome], Any] | None = None,
    max_seconds: float | None = None,
    **common: Any,
) -> Sweep:
    """Train many nets on the same samples, each to the bits that ``train`` gives it alone.

    Parameters
    ----------
    X, y : array-like
        As for :func:`fastmlp.train`.
    configs : list of dicts, or a mapping
        The parameters of ``train`` by which nets differ. Of a mapping of lists each combination is a net, the last name in
        the alphabet varying fastest, as in scikit-learn's ParameterGrid. A mapping may also hold distributions, anything
        with ``rvs`` such as scipy's, to draw from.
    rows : list of index arrays (or masks), one for each net, or None
        The rows of X and y that each net has, so that folds and bootstraps share them; rows may occur more than once. The
        classes are those of all of `y`.
    n_draws : int or None
        How many nets to draw from a mapping; of lists alone no combination comes twice.
    draw_seed : int, Generator, RandomState or None
        Draws them.
    threads : int or None
        How many nets, or groups of small nets, to train at a time; None is one for each core. Bits are the same for any
        number.
    executor : concurrent.futures.Executor or None
        Trains them elsewhere.
    progress : bool
        Show how many nets are done.
    callback : function or None
        Called with an Outcome after each net, in the order in which they end; ends the sweep by returning True.
    max_seconds : float or None
        End the sweep after this time; nets in progress are kept as they are then.
    **common
        Parameters of ``train`` for all nets; a config's own go before. Where nets share a Generator as their seed, each
        has one of its children by ``spawn``, and of a RandomState one of its own seeded from it.

    Returns
    -------
    Sweep
        The nets in the order of the configs. A net whose parameters are wrong, or whose training fails, is None in it and
        its error kept, while the others are trained. On Ctrl-C those that are done, with a warning.

    Raises
    ------
    TypeError, ValueError
        If X, y, the configs as a whole or a common parameter are not what they must be.
    """
    from fastmlp.kernels.run import available_cores
    from fastmlp.sweep.abreast import pieces_of

    n_threads = available_cores() if threads is None else whole("threads", threads)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback={callback!r}: give a function, or None")
    halt = Halt(math.inf if max_seconds is None else real("max_seconds", max_seconds, 0, above=True))
    check_names(common)
    nets = expanded(configs, n_draws, draw_seed)
    chosen = _checked_rows(rows, len(nets), y)
    seeds = settle_seeds(nets, common)
    setups = Setups(Source(X, y), common)
    tasks, failed = tasks_of(setups, nets, seeds, chosen)
    setups.raise_if_common(tasks, failed)
    outcomes: dict[int, Outcome] = {}
    with counting(progress, len(nets)) as report:
        crew = Crew(pieces_of(tasks), n_threads, halt)
        try:
            for finished in itertools.chain([failed], crew):
                _note(finished, outcomes, report)
                # All that have ended are told of, also after a word to end.
                said = [] if callback is None else [callback(outcome) for outcome in finished]
                if any(isinstance(word, bool | np.bool_) and word for word in said):
                    halt.say("stopped by callback")
        except KeyboardInterrupt:
            halt.say("interrupted")
            for finished in crew:
                _note(finished, outcomes, report)
        finally:
            halt.say("interrupted")
            crew.wait()
    sweep = Sweep(nets, common, [outcomes.get(place) or missing(place, halt()) for place in range(len(nets))])
    sweep.warn()
    return sweep


def _note(finished: Iterable[Outcome], outcomes: dict[int, Outcome], report: Callable[[int], None]) -> None:
    for outcome in finished:
        outcomes[outcome.place] = outcome
    report(len(outcomes))


def _checked_rows(rows: Any, n_nets: int, y: ArrayLike) -> Rows:
    """The rows of each net as numbers; None for all, and where `y` has none, which is told with the other faults of it."""
    if rows is None:
        return None
    if isinstance(rows, str) or not isinstance(rows, Sequence | np.ndarray):
        raise TypeError(f"rows={rows!r}: give a list with an index array for each net, or None")
    if len(rows) != n_nets:
        raise ValueError(f"rows has {len(rows)} entries, but there are {n_nets} nets; give one index array for each")
    targets = as_array("y", y)
    if not targets.ndim:
        return None
    checked: dict[int, NDArray[np.intp]] = {}
    # Folds are given again and again: the same object is the same rows. The list keeps those that a matrix makes anew.
    listed = list(rows)
    for place, some in enumerate(listed):
        if id(some) not in checked:
            checked[id(some)] = row_numbers(f"rows[{place}]", some, len(targets))
    return [checked[id(some)] for some in listed]
