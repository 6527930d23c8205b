"""What comes of a sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fastmlp.network import Network
from fastmlp.notices import warn
from fastmlp.sweep.configs import Config
from fastmlp.sweep.tasks import Outcome


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
    seconds : ndarray (n_nets,)
        What each took; of small nets that are trained together an equal share.
    """

    def __init__(self, configs: Sequence[Config], common: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
        self.configs, self.common = list(configs), dict(common)
        self._networks = [outcome.network for outcome in outcomes]
        self.statuses = [outcome.status for outcome in outcomes]
        self.errors = {outcome.place: outcome.error for outcome in outcomes if outcome.error is not None}
        self.seconds: NDArray[np.float64] = np.array([outcome.seconds for outcome in outcomes])

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
        return f"<Sweep of {len(self)} nets: {counts}>"

    def warn(self) -> None:
        """Warn of what did not go well, once for all nets."""
        if self.errors:
            place, error = next(iter(sorted(self.errors.items())))
            warn(
                f"{len(self.errors)} of {len(self)} nets failed, see Sweep.errors; the first, configs[{place}]: {error}",
                RuntimeWarning,
            )
