"""Successive halving: all nets for a few epochs, the best of them for more, until few are trained to the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fastmlp import schedules
from fastmlp.arguments import whole
from fastmlp.loop import Halted
from fastmlp.options import Loss
from fastmlp.setup import Setup
from fastmlp.sweep.configs import DEFAULTS, Config
from fastmlp.sweep.table import score_of
from fastmlp.sweep.tasks import Outcome, Task

ELIMINATED = "eliminated"


class Halving:
    """Which nets are trained until where (Jamieson and Talwalkar 2016).

    With `share` 3 and 27 nets there are four rungs: 27 nets go to a 27th of their epochs, the best 9 of them on to a ninth,
    3 to a third and one to the end; with fewer epochs than that there are fewer rungs. A net that goes on does so exactly:
    it has the bits of one that was never halted.

    Parameters
    ----------
    share : one in so many goes on.
    tasks : the nets, set up for all of their epochs.
    configs, common : what each was asked for.

    Raises
    ------
    TypeError, ValueError
        If `share` is no whole number from 2 on, or the nets' scores cannot be compared.
    """

    def __init__(self, share: int, tasks: Sequence[Task], configs: Sequence[Config], common: Mapping[str, Any]) -> None:
        self._share = whole("halving", share, 2)
        self._epochs = {task.place: task.setup.epochs for task in tasks}
        self._validated = {task.place: task.setup.validation is not None for task in tasks}
        self._configs = {task.place: {**DEFAULTS, **common, **configs[task.place]} for task in tasks}
        self._own = {task.place: configs[task.place] for task in tasks}
        measures = {_measure(task.setup) for task in tasks}
        if len(measures) > 1:
            first, second = sorted(measures)[:2]
            raise ValueError(
                f"halving={share!r}: the nets cannot be compared, some by {first}, others by {second}; "
                "give all nets the same validation and metric"
            )
        least = min(self._epochs.values(), default=1)
        self._rungs = 0
        while self._share ** (self._rungs + 1) <= min(len(tasks), least):
            self._rungs += 1
        self._done = 0

    def climb(self, train: Callable[[dict[int, Config]], None], outcomes: Mapping[int, Outcome], halted: Halted) -> None:
        """Train nets from rung to rung: `train` takes what is asked for, by places, and leaves what came in `outcomes`."""
        asked = self.first()
        while asked:
            train(asked)
            asked = {} if halted() is not None else self.next(outcomes)

    def first(self) -> dict[int, Config]:
        """What the nets are asked for until the first rung, by their places."""
        return {place: self._until(place, None) for place in self._epochs}

    def next(self, outcomes: Mapping[int, Outcome]) -> dict[int, Config]:
        """What those that go on are asked for, by their places; the others are done, and those left behind marked so."""
        if self._done == self._rungs:
            return {}
        self._done += 1
        n_kept = -(-len(self._epochs) // self._share)
        ranked = sorted(self._epochs, key=lambda place: (-self._score(outcomes[place]), place))
        for place in ranked[n_kept:]:
            outcome = outcomes[place]
            if outcome.network is not None and outcome.status == "finished":
                outcome.status = outcome.network.status = ELIMINATED
        self._epochs = {place: self._epochs[place] for place in sorted(ranked[:n_kept])}
        # What has come to an end of its own has reached what it can.
        going = [place for place in self._epochs if outcomes[place].status == "finished"]
        return {place: self._until(place, outcomes[place].network) for place in going}

    def _score(self, outcome: Outcome) -> float:
        score = score_of(outcome.network, self._validated[outcome.place])
        return -np.inf if np.isnan(score) else score

    def _until(self, place: int, network: Any) -> Config:
        """A net's config to the next rung, going on from the network, if there is one."""
        total, asked = self._epochs[place], self._configs[place]
        start = asked["start"] if network is None else network
        before = 0 if asked["start"] is None else asked["start"].n_epochs
        rung = -(-total // self._share ** (self._rungs - self._done))
        done = 0 if network is None else network.n_epochs - before
        config = {
            **self._own[place],
            "epochs": rung - done,
            "start": start,
            # What a name means hangs on all the epochs.
            "schedule": None if asked["schedule"] is None else schedules.named(asked["schedule"], before + total),
        }
        return config if network is None else {**config, "seed": None}


def _measure(setup: Setup) -> str:
    metric = setup.metric if isinstance(setup.metric, str) else "a function"
    loss = setup.problem.loss
    # Of two classes both are the same.
    named = (Loss.CROSS_ENTROPY if loss == Loss.BINARY_CROSS_ENTROPY else loss).name.lower()
    if setup.validation is None:
        return f"the {named} in training"
    return f"the validation's {named}" if metric == "loss" else f"the validation's {metric}"
