"""What comes of a sweep."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from fastmlp.arguments import whole
from fastmlp.network import Network
from fastmlp.notices import warn
from fastmlp.sweep import storing
from fastmlp.sweep.configs import DEFAULTS, Config
from fastmlp.sweep.ensemble import Ensemble
from fastmlp.sweep.table import column, differing, measure_of, names_of, score_of, values_of
from fastmlp.sweep.tasks import Outcome

if TYPE_CHECKING:
    from fastmlp.plotting import Axes


class Sweep(Sequence[Network | None]):
    """The nets of :func:`fastmlp.train_many`, in the order of their configs.

    Attributes
    ----------
    configs : list of dict
        What each net was asked for beside `common`, its seed among it: ``train(X, y, **{**common, **config})`` gives the
        net again.
    common : dict
        What all nets were asked for.
    statuses : list of str
        Of each net the network's status (see :class:`fastmlp.Network`), or "failed"; "out of time", "interrupted" or
        "stopped by callback" also where a net was not begun.
    errors : dict from int to Exception
        Why nets failed, by their places.
    messages : dict from int to str
        Why nets diverged, what went wrong and the remedy, by their places.
    seconds : ndarray (n_nets,)
        What each took; of small nets that are trained together an equal share.
    """

    def __init__(self, configs: Sequence[Config], common: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
        self.configs, self.common = list(configs), dict(common)
        self._networks = [outcome.network for outcome in outcomes]
        self.statuses = [outcome.status for outcome in outcomes]
        self.errors = {outcome.place: outcome.error for outcome in outcomes if outcome.error is not None}
        self.messages = {outcome.place: outcome.message for outcome in outcomes if outcome.message is not None}
        self.seconds: NDArray[np.float64] = np.array([outcome.seconds for outcome in outcomes], np.float64)

    def __len__(self) -> int:
        return len(self._networks)

    @overload
    def __getitem__(self, place: int) -> Network | None: ...
    @overload
    def __getitem__(self, place: slice) -> list[Network | None]: ...
    def __getitem__(self, place: int | slice) -> Network | list[Network | None] | None:
        return self._networks[place]

    def __iter__(self) -> Iterator[Network | None]:
        return iter(self._networks)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in Counter(self.statuses).items())
        return f"<Sweep of {len(self)} {'net' if len(self) == 1 else 'nets'}: {counts}>"

    @property
    def scores(self) -> NDArray[np.float64]:
        """How good each net is, (n_nets,): the larger the better.

        With validation the best of its `validation_scores`, else minus the last of its `loss_curve`, penalties included.
        -inf of a net that diverged and has no validation score from before; NaN where there is no net, or none that was
        trained for an epoch.
        """
        validations = values_of("validation", self.configs, self.common)
        scores = [
            score_of(net, validation is not None) for net, validation in zip(self._networks, validations, strict=True)
        ]
        return np.array(scores, np.float64)

    @property
    def best_place(self) -> int:
        """The place of the net with the best score, of equal ones the first.

        Raises
        ------
        ValueError
            If no net has a score above -inf, or scores are of different measures.
        """
        scores = self.scores
        self._check_comparable(scores)
        return int(np.nanargmax(scores))

    def best(self) -> Network:
        """The net with the best score, of equal ones the first.

        Raises
        ------
        ValueError
            If no net has a score above -inf, or if scores cannot be compared: some of validation and others not, by
            different metrics, or minus different losses.
        """
        net = self._networks[self.best_place]
        assert net is not None
        return net

    def _check_comparable(self, scores: NDArray[np.float64]) -> str:
        """What all scores are; ValueError where there is none, or they are not of one measure."""
        metrics = values_of("metric", self.configs, self.common)
        scored = [
            (net, metric)
            for net, metric, score in zip(self._networks, metrics, scores, strict=True)
            if net is not None and score > -np.inf
        ]
        if not scored:
            told = "; ".join(self._shortfalls()) or "none was trained for an epoch"
            raise ValueError(f"no net has a score: {told}")
        measures = list(dict.fromkeys(measure_of(net, metric) for net, metric in scored))
        if len(measures) > 1:
            raise ValueError(
                f"the scores cannot be compared: some are {measures[0]}, others {measures[1]}. Give all nets validation "
                "and the same metric, or choose by Sweep.scores among those that are alike"
            )
        return measures[0]

    def ensemble(self, k: int | None = None) -> Ensemble:
        """The nets with the best scores as one that predicts the mean of what they do.

        Parameters
        ----------
        k : int or None
            How many; None takes all. Nets that diverged, or were not trained for an epoch, are left out.

        Returns
        -------
        Ensemble
            Of the nets in the order of the sweep.

        Raises
        ------
        TypeError
            If `k` is no whole number.
        ValueError
            If there are no such nets, or fewer than `k`, if `k` is below 1, if with `k` the scores cannot be compared (see
            `best`), or if the nets do not predict the same.
        """
        sound = [
            place
            for place, net in enumerate(self._networks)
            if net is not None and net.n_epochs and net.status != "diverged"
        ]
        if not sound:
            told = "; ".join(self._shortfalls()) or "none was trained for an epoch"
            raise ValueError(f"there are no nets for an ensemble: {told}")
        if k is not None:
            if whole("k", k) > len(sound):
                raise ValueError(f"k={k}: there are {len(sound)} nets that did not diverge or fail; give at most so many")
            scores = self.scores
            self._check_comparable(scores)
            allowed = set(sound)
            # NaN comes last.
            ranked = np.argsort(-scores, kind="stable").tolist()
            sound = sorted([place for place in ranked if place in allowed][:k])
        return Ensemble([net for place in sound if (net := self._networks[place]) is not None])

    def to_frame(self) -> Any:
        """A table with a row for each net.

        Returns
        -------
        pandas.DataFrame, or dict from str to ndarray where pandas is not installed
            A column for each parameter that a config names, with the common value or the default where another does not;
            then "status", "score", "final_loss" (the last of the loss curve, or NaN), "n_epochs" and "n_parameters" (0
            where there is no net), "seconds" and "error" (the message, or None).
        """
        nets = self._networks
        columns = {name: column(values_of(name, self.configs, self.common)) for name in names_of(self.configs)}
        columns.update(
            status=column(self.statuses),
            score=self.scores,
            final_loss=np.array(
                [net.loss_curve[-1] if net is not None and net.n_epochs else np.nan for net in nets], float
            ),
            n_epochs=np.array([0 if net is None else net.n_epochs for net in nets], np.int64),
            n_parameters=np.array([0 if net is None else net.params.size for net in nets], np.int64),
            seconds=self.seconds.copy(),
            error=column([str(self.errors[place]) if place in self.errors else None for place in range(len(self))]),
        )
        try:
            import pandas
        except ImportError:
            return columns
        # Of strings and None alone pandas would make strings and NaN.
        return pandas.DataFrame({name: pandas.Series(values, dtype=values.dtype) for name, values in columns.items()})

    def plot(self, parameter: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the scores over a parameter by which nets differ, and the mean of each value.

        Nets that diverged without a score are crosses at the lower edge; those that have none for another reason are left
        out.

        Parameters
        ----------
        parameter : str or None
            None takes the only one beside "seed" by which nets differ.
        ax : matplotlib.axes.Axes or None
            Where to draw; None makes a figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such parameter, none or several by which nets differ, no score, or scores that cannot be compared
            (see `best`).
        """
        from fastmlp.charts import scores_chart

        name = self._only_parameter() if parameter is None else parameter
        if name not in DEFAULTS:
            raise ValueError(f"parameter={name!r}: train has no such parameter; nets differ by {self._told_differing()}")
        scores = self.scores
        measure = self._check_comparable(scores)
        drawn = [
            (value, score)
            for value, score in zip(values_of(name, self.configs, self.common), scores, strict=True)
            if not np.isnan(score)
        ]
        return scores_chart(name, column([value for value, _ in drawn]), [score for _, score in drawn], measure, ax)

    def _only_parameter(self) -> str:
        candidates = [name for name in differing(self.configs, self.common) if name != "seed"]
        if len(candidates) != 1:
            raise ValueError(f"parameter=None: nets differ by {self._told_differing()}; name the one to draw")
        return candidates[0]

    def _told_differing(self) -> str:
        return ", ".join(map(repr, differing(self.configs, self.common))) or "nothing"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all to one safetensors file, whole or not at all.

        Numbers, strings, None, dtypes, and lists, tuples and dicts of them in `configs` and `common` are kept as they are;
        of arrays, functions, Generators and nets to start from there is only told what they were, by a
        :class:`fastmlp.sweep.NotKept`. Errors come back as TypeError, ValueError or else RuntimeError, with their message.

        Parameters
        ----------
        path : where; an existing file is replaced.

        Returns
        -------
        Path
            Where the file is.

        Raises
        ------
        TypeError
            If labels are neither numbers, truth values nor strings.
        ValueError
            If a net is not what training makes, so that it could not be loaded again.
        OSError
            If the file cannot be written; an existing one is then as it was.
        """
        return storing.save(path, self.configs, self.common, self._outcomes())

    def _outcomes(self) -> list[Outcome]:
        parts = zip(self._networks, self.statuses, self.seconds.tolist(), strict=True)
        return [
            Outcome(place, net, status, self.errors.get(place), took, self.messages.get(place))
            for place, (net, status, took) in enumerate(parts)
        ]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Sweep:
        """Read a sweep that `save` wrote; as of a net saved without its training, it goes on from the parameters alone.

        Raises
        ------
        ValueError
            If the file is none of fastmlp's, holds a net, is damaged, or was written by a newer version.
        OSError
            If the file cannot be read.
        """
        return cls(*storing.load(path))

    def warn(self) -> None:
        """Warn of what did not go well, once for all nets: which failed, diverged, or were not begun."""
        for shortfall in self._shortfalls():
            warn(shortfall, RuntimeWarning)

    def _shortfalls(self) -> list[str]:
        told, n_nets = [], f"of {len(self)} nets"
        if self.errors:
            place, error = min(self.errors.items(), key=lambda item: item[0])
            told.append(f"{len(self.errors)} {n_nets} failed, see Sweep.errors; the first, configs[{place}]: {error}")
        diverged = self.statuses.count("diverged")
        if diverged:
            why = "lower their learning_rate or standardise X"
            if self.messages:
                place, message = min(self.messages.items(), key=lambda item: item[0])
                why = f"see Sweep.messages; the first, configs[{place}]: {message}"
            told.append(f"{diverged} {n_nets} diverged{', ' if self.messages else ': '}{why}")
        cut_off = sum(net is not None and net.status == "interrupted" for net in self._networks)
        if cut_off:
            told.append(f"{cut_off} {n_nets} were interrupted: they are as far as they had come")
        idle = Counter(
            status
            for place, (net, status) in enumerate(zip(self._networks, self.statuses, strict=True))
            if net is None and place not in self.errors
        )
        if idle:
            told.append(f"{idle.total()} {n_nets} were not begun: {', '.join(idle)}")
        return told
