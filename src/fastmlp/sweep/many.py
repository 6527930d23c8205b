"""``train_many``: many nets in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastmlp.arguments import real, truth, whole
from fastmlp.interrupts import noted
from fastmlp.notices import warn
from fastmlp.progress import counting
from fastmlp.samples import Source
from fastmlp.sweep.configs import Config, check_names, expanded, settle_seeds
from fastmlp.sweep.crew import Crew, Watch
from fastmlp.sweep.halt import Halt
from fastmlp.sweep.halving import Halving
from fastmlp.sweep.remote import Remote, check_executor
from fastmlp.sweep.result import Sweep
from fastmlp.sweep.rows import Rows, checked_rows
from fastmlp.sweep.tasks import Outcome, Setups, Task, missing, tasks_of
from fastmlp.sweep.worker import crew_of


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
    halving : int or None
        Successive halving: all nets are trained for a share of their epochs, the best, one in so many of them, on for so
        many times as long, and so on to the end; see :class:`fastmlp.sweep.halving.Halving`. The others are "eliminated".
        The best have the best validation score or, without validation, the least loss.
    threads : int or None
        How many nets, or groups of small nets, to train at a time; None is one for each core. Bits are the same for any
        number. With an executor: how many each of its workers trains at a time; None is one.
    executor : concurrent.futures.Executor or None
        Trains them elsewhere: on a pool of processes, or on a cluster with Dask's ``Client.get_executor()``. X and y are
        sent to each worker once. Nets that are lost with their worker are trained again; where it is the net that ends
        its worker, it fails. The executor stays open.
    progress : bool
        Show how many nets are done.
    callback : function or None
        Called with an Outcome after each net, in the order in which they end, with `halving` also after each of its rungs;
        ends the sweep by returning True.
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
    check_executor(executor)
    n_threads = None if threads is None else whole("threads", threads)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback={callback!r}: give a function, or None")
    halt = Halt(math.inf if max_seconds is None else real("max_seconds", max_seconds, 0, above=True))
    truth("progress", progress)
    check_names(common)
    nets = expanded(configs, n_draws, draw_seed)
    chosen = checked_rows(rows, len(nets), y)
    seeds = settle_seeds(nets, common)
    source = Source(X, y)
    setups = Setups(source, common)
    tasks, failed = tasks_of(setups, nets, seeds, chosen)
    setups.raise_if_common(tasks, failed)
    ladder = None if halving is None else Halving(halving, tasks, nets, common)

    def crew_for(some: Sequence[Task], asked: Sequence[Config]) -> Crew | Remote:
        with halt.interrupts.raised():
            if executor is None:
                return crew_of(some, n_threads, halt, progress or callback is not None)
            return Remote(executor, some, source, common, asked, chosen, n_threads, halt)

    outcomes: dict[int, Outcome] = {}

    def train_to(asked: dict[int, Config]) -> None:
        watch.over(crew_for(*_on_rung(setups, nets, seeds, chosen, asked)))

    with noted() as halt.interrupts, counting(progress, len(nets)) as report:
        watch = Watch(outcomes, report, callback, halt)
        try:
            watch.note(failed)
            if ladder is None:
                watch.over(crew_for(tasks, nets))
            else:
                ladder.climb(train_to, outcomes, halt)
        except KeyboardInterrupt:  # while kernels are compiled, or between two rungs
            halt.say("interrupted")
        sweep = Sweep(nets, common, [outcomes.get(place) or missing(place, halt()) for place in range(len(nets))])
    if halt.interrupts.heard and "interrupted" not in sweep.statuses:
        warn("interrupted when all nets had been trained", RuntimeWarning)
    sweep.warn()
    return sweep


def _on_rung(
    setups: Setups, nets: Sequence[Config], seeds: Sequence[Any], rows: Rows, asked: Mapping[int, Config]
) -> tuple[list[Task], list[Config]]:
    """The nets that are trained to a rung, and what each is asked for until then."""
    # The numbers of a net that goes on are its own.
    tasks = [
        setups.of(
            place,
            config,
            None if config["seed"] is None else seeds[place],
            None if rows is None else rows[place],
        )
        for place, config in asked.items()
    ]
    return tasks, [asked.get(place, config) for place, config in enumerate(nets)]
