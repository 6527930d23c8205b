"""The trainings of a sweep: what each is, what it costs, and what comes of it."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.arguments import random_source, rows_per_batch
from fastmlp.fitting import Drawn, draw, rates_of, trained
from fastmlp.loop import Halted
from fastmlp.network import Network
from fastmlp.samples import Source
from fastmlp.setup import Setup, set_up
from fastmlp.sweep.configs import DEFAULTS, Config, check_names


@dataclass
class Outcome:
    """What came of a net.

    Attributes
    ----------
    place : the net's place in the sweep.
    network : None where there is none.
    status : the network's, or "failed", "out of time" or "interrupted" where none came to be.
    error : why it failed, or None.
    seconds : what it took, its share where it was trained beside others.
    message : what ``train`` warns of where the net diverged, or None.
    """

    place: int
    network: Network | None
    status: str
    error: Exception | None = None
    seconds: float = 0.0
    message: str | None = None


def missing(place: int, status: str | None) -> Outcome:
    """What came of a net that nobody came to train."""
    return Outcome(place, None, status or "interrupted")


@dataclass
class Task:
    """A net to train, checked; those of the same number `alike` differ by their seeds alone."""

    place: int
    setup: Setup
    alike: int

    @property
    def cost(self) -> float:
        """Roughly the multiplications of a training."""
        sizes, epochs = self.setup.problem.sizes, self.setup.epochs
        weights = sum(a * b for a, b in pairwise(sizes))
        return float(weights + 8 * sum(sizes[1:])) * self.setup.samples.n_chosen * epochs

    @property
    def kernels(self) -> set[str]:
        """The entry points that it calls; those with which a metric predicts are left to it."""
        if self.setup.engine != "kernels":
            return set()
        from fastmlp.kernels.blocks import is_wide

        run = "run_slabs" if is_wide(self.setup.problem.sizes) else "run_blocks"
        return {"draw_orders", f"{run} {self.setup.samples.targets.values.dtype}"}

    def run(self, halted: Halted) -> list[Outcome]:
        """Train the net."""
        return [outcome_of(self.place, lambda: draw(self.setup), halted)]


def outcome_of(place: int, drawn: Callable[[], Drawn], halted: Halted) -> Outcome:
    """Train a net by itself."""
    begin = time.perf_counter()
    try:
        network, message = trained(drawn(), halted)
    except Exception as error:  # one net must not end the others
        return Outcome(place, None, "failed", error, time.perf_counter() - begin)
    message = message if network.status == "diverged" else None
    return Outcome(place, network, network.status, None, time.perf_counter() - begin, message)


class Setups:
    """Sets nets up, alike ones once: where configs differ by their seeds alone, all else is checked for the first.

    Parameters
    ----------
    source : X and y.
    common : parameters of ``train`` that hold where a config has none.
    """

    def __init__(self, source: Source, common: Mapping[str, Any]) -> None:
        from fastmlp.kernels.layouts import Layouts

        self._source, self._asked = source, {**DEFAULTS, **common, "threads": 1}
        self._known: dict[Any, tuple[Setup, int]] = {}
        self._numbers = itertools.count()
        self._layouts = Layouts()

    def of(self, place: int, config: Config, seed: Any, rows: NDArray[np.intp] | None) -> Task:
        """The task of a config, with its seed, on some of the rows or all.

        Raises
        ------
        TypeError, ValueError
            If a parameter is not what it must be.
        """
        key = _key(config, rows)
        known = self._known.get(key) if key is not None else None
        if known is None:
            check_names(config)
            known = _clipped(set_up(self._source, {**self._asked, **config}, rows)), next(self._numbers)
            known[0].layouts = self._layouts
            if key is not None and known[0].before.net is None:
                self._known[key] = known
        # What copy.copy does, in a third of the time.
        setup = object.__new__(Setup)
        setup.__dict__.update(known[0].__dict__)
        setup.seed = seed
        if setup.validation is not None:
            # Rows held out are noted in the samples.
            setup.samples = copy.copy(setup.samples)
        return Task(place, setup, known[1])

    def raise_if_common(self, tasks: Sequence[Task], failed: Sequence[Outcome]) -> None:
        """Raise where the parameters that all nets share lead, by themselves, to what is wrong with some of the nets.

        Of what is checked when a training begins the first nets tell, up to one with which nothing is wrong.
        """
        messages = {str(outcome.error) for outcome in failed}
        rows: list[NDArray[np.intp] | None] = [None]
        for task in tasks:
            try:
                _check_beginning(task.setup)
            except Exception as error:
                messages.add(str(error))
                # Messages may say how many rows there are.
                rows.append(task.setup.samples.chosen)
                continue
            break
        for chosen in rows[:2] if messages else ():
            try:
                _check_beginning(set_up(self._source, self._asked, chosen))
            except Exception as ours:
                if str(ours) in messages:
                    raise


def _clipped(setup: Setup) -> Setup:
    """The training without a batch size above the samples: no thread must warn of that, and not for each net."""
    size, n_samples = setup.batch_size, setup.samples.n_samples
    if isinstance(size, int) and size > n_samples and not isinstance(setup.validation, float):
        rows_per_batch(size, n_samples)
        setup.batch_size = None
    return setup


def _check_beginning(setup: Setup) -> None:
    """Raise what drawing would raise; nobody's random numbers are drawn."""
    random_source(setup.seed)
    trial = copy.copy(setup)
    trial.seed, trial.samples, trial.before = 0, copy.copy(setup.samples), copy.deepcopy(setup.before)
    if isinstance(trial.batch_size, int) and trial.batch_size > trial.samples.n_samples:
        # The warning is the training's.
        trial.batch_size = None
    rates_of(trial)
    draw(trial)


def _key(config: Config, rows: Any) -> Any:
    """What is alike where all but the seed is; None where that cannot be told."""
    key = tuple((name, _typed(value)) for name, value in config.items() if name != "seed")
    try:
        hash(key)
    except TypeError:
        return None
    return (*key, id(rows))


def _typed(value: Any) -> Any:
    """A value and its type, for 1, 1.0 and True are equal."""
    return type(value), tuple(map(_typed, value)) if isinstance(value, tuple) else value


def tasks_of(
    setups: Setups, configs: Sequence[Config], seeds: Sequence[Any], rows: Sequence[NDArray[np.intp]] | None
) -> tuple[list[Task], list[Outcome]]:
    """The nets to train, and those that were asked for what there is not."""
    tasks, failed = [], []
    for place, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
        try:
            tasks.append(setups.of(place, config, seed, None if rows is None else rows[place]))
        except Exception as error:  # one net must not end the others
            failed.append(Outcome(place, None, "failed", error))
    return tasks, failed
