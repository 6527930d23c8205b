"""Checkpoints: files that a training's state goes to now and then, and that the same call goes on from.

A call is the same where all that its bits hang on is: the data, the parameters, the seed. What it has reached at the end of
an epoch is a net and its training's state, as ``Network.save(training=True)`` writes them.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmlp
from fastmlp.initialise import Random, Remembered, start_params
from fastmlp.inputs import BYTES_CHECKED_AT_ONCE
from fastmlp.loop import Loop
from fastmlp.network import Network
from fastmlp.notices import warn
from fastmlp.samples import Samples
from fastmlp.schedules import Adaptive, InverseScaling, named
from fastmlp.setup import Setup
from fastmlp.stored_state import described_state
from fastmlp.validation import Held, Metric

# How often what has been reached is kept in memory, beside the times that it is written.
SECONDS_IN_MEMORY = 1.0
# And the most of the time that this may take.
LARGEST_SHARE = 0.02
# A call that ended so has not done all it was asked for.
UNFINISHED = ("interrupted", "out of time")
DIGEST = "blake2b:"


class Reached(NamedTuple):
    """What an earlier call has reached: its net, what it warned of, its random numbers, and whether that was its end."""

    net: Network
    message: str | None
    random: Remembered
    ended: bool


@dataclass
class Checkpoint:
    """The file of a call.

    Attributes
    ----------
    path, seconds : where it is, and how many pass between two times that it is written.
    call : what the call's bits hang on, by the names of parameters.
    """

    path: Path
    seconds: float
    call: dict[str, Any]
    _written: float = field(default_factory=time.monotonic)
    _has_failed: bool = False

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._written >= self.seconds

    def read(self, setup: Setup) -> Reached | None:
        """What an earlier call, set up so, has reached, or None where there was none.

        Raises
        ------
        ValueError
            If the file is not a whole checkpoint, or is another call's; the message says what differs.
        """
        from fastmlp.storage import load_with_header

        if not self.path.exists():
            return None
        try:
            net, header = load_with_header(self.path)
            kept = header.get("checkpoint")
            if kept is None:
                raise ValueError(f"{self.path}: the file holds a net, but no checkpoint; give another one")
            self._check(kept["call"])
            reached = Reached(net, kept["message"], Remembered.of(kept["random"]), kept["ended"])
            _check_fits(reached, setup)
        except (OSError, ValueError) as error:
            raise ValueError(f"checkpoint: {error}, or delete it to begin anew") from None
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"checkpoint: {self.path} is damaged; delete it to begin anew") from None
        if kept.get("version") != fastmlp.__version__ and not reached.ended:
            warn(
                f"checkpoint={str(self.path)!r} was written by fastmlp {kept.get('version')}, and this is "
                f"{fastmlp.__version__}: the bits may differ from those of a training without a break",
                RuntimeWarning,
            )
        return reached

    def _check(self, theirs: dict[str, Any]) -> None:
        """Raise ValueError where the file is of another call."""
        for name, ours in self.call.items():
            if ours != theirs.get(name):
                is_digest = any(isinstance(one, str) and one.startswith(DIGEST) for one in (ours, theirs.get(name)))
                what = f"another {name}" if is_digest else f"{name}={theirs.get(name)!r}, this one has {ours!r}"
                raise ValueError(f"{self.path} is of a training with {what}; ask for the same, give another file")

    def write(self, net: Network, random: Remembered, message: str | None = None, ended: bool = False) -> None:
        """Write what has been reached; where that fails warn, keep the file before, and try again when it is due."""
        from fastmlp.storage import save

        self._written = time.monotonic()
        kept = {
            "call": self.call, "message": message, "random": random.described(), "ended": ended,
            "version": fastmlp.__version__,
        }  # fmt: skip
        try:
            save(net, self.path, training=net._training is not None, checkpoint=kept)
        except (OSError, MemoryError) as error:
            had_failed, self._has_failed = self._has_failed, True
            if not had_failed:
                why = str(error) or type(error).__name__
                warn(f"checkpoint={str(self.path)!r} cannot be written ({why}); training goes on", RuntimeWarning)


class Keeper:
    """Keeps what a loop reaches: in memory about once a second, and in the file of a checkpoint when it is due.

    Parameters
    ----------
    checkpoint : the file.
    random : what the loop draws from.
    reach : makes a net, with its training's state, of what a loop has come to.
    """

    def __init__(self, checkpoint: Checkpoint, random: Random, reach: Callable[[Loop], Network]) -> None:
        self._checkpoint, self._random, self._reach = checkpoint, random, reach
        # What is not in the file yet.
        self._kept: tuple[Network, Remembered] | None = None
        self._next = -math.inf

    def __call__(self, loop: Loop) -> None:
        """Keep what has been reached at the end of an epoch, if it is time to."""
        is_due = self._checkpoint.is_due()
        if is_due or time.monotonic() >= self._next:
            self._take(loop)
        if is_due:
            self.rescue()

    def _take(self, loop: Loop) -> None:
        # Of what is about to diverge the next update decides what is given out.
        if not np.isfinite(loop.run.params).all():
            return
        begin = time.monotonic()
        with loop.job.batches.settled(loop.run.done):
            net = self._reach(loop)
            if net._training is None:
                return
            net.status = "interrupted"
            self._kept = net, Remembered(self._random)
        now = time.monotonic()
        self._next = now + max(SECONDS_IN_MEMORY, (now - begin) / LARGEST_SHARE)

    def rescue(self) -> None:
        """Write what is in memory alone, whatever comes next."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self._checkpoint.write(*kept)

    def end(self, loop: Loop, net: Network) -> None:
        """Write how it ended: the whole of it, or, where more was asked for, the last that can be gone on from."""
        if loop.status not in UNFINISHED:
            self._checkpoint.write(net, Remembered(self._random), loop.how_it_ended(), ended=True)
            return
        if loop.is_at_end_of_epoch:
            self._take(loop)
        self.rescue()


def described_call(setup: Setup, seed: Any, held: Held | None, rates: NDArray[Any]) -> dict[str, Any]:
    """What the bits of a training hang on, by the names of parameters, as JSON has it; of large things digests.

    Those come first that decide how others are read. `seed` is what :func:`described_seed` made of it before anything was
    drawn, and `held` what there is to validate with.

    Raises
    ------
    TypeError
        If there are labels, or random numbers to go on with, that cannot be written.
    """
    from fastmlp.labels import described_labels

    problem, samples, targets = setup.problem, setup.samples, setup.samples.targets
    schedule = named(setup.schedule, setup.epochs)
    call = {
        "dtype": str(targets.values.dtype),
        "engine": setup.engine,
        "loss": problem.loss.name.lower(),
        "hidden": problem.sizes[1:-1],
        "activation": [activation.name.lower() for activation in problem.activations],
        "solver": problem.solver.name.lower(),
        # Without validation the kernels see to the patience.
        **problem.hyperparameters._replace(patience=setup.patience or 0)._asdict(),
        "dropout": problem.dropout,
        "learning_rate": setup.learning_rate,
        "epochs": setup.epochs,
        # Those of the others are not of the epoch alone.
        "schedule": repr(schedule) if isinstance(schedule, Adaptive | InverseScaling) else _digest(rates),
        "batch_size": setup.batch_size,
        "shuffle": setup.shuffle,
        "max_fun": setup.max_fun,
        "seed": seed,
        "start": None if setup.before.net is None else _digest(*_parts_of(setup.before.net)),
        "init": _described_init(setup),
        "X": _digest(*_rows_of(samples)),
        "y": _digest(targets.values, json.dumps(described_labels(targets.kind.classes))),
        "sample_weight or class_weight": None if samples.weights is None else _digest(samples.weights),
        "validation": _described_validation(setup, held),
        "metric": None if held is None else _name(setup.metric),
    }
    # As it comes back from a file.
    return dict(json.loads(json.dumps(call, default=_plain)))


def _described_init(setup: Setup) -> str | None:
    if setup.before.net is not None:
        return None
    if isinstance(setup.init, str):
        return setup.init
    # Given arrays leave nothing to draw.
    return _digest(start_params(setup.init, setup.problem.sizes, np.random.RandomState()))


def _described_validation(setup: Setup, held: Held | None) -> float | str | None:
    """A share as it is, since the rows hang on the seed; of samples apart a digest."""
    if held is None:
        return None
    return float(setup.validation) if setup.samples.held is not None else _digest(held.X, held.targets)


def _name(metric: Metric) -> str:
    """What a metric is called; of functions no more is known from one process to another."""
    return (
        metric if isinstance(metric, str) else f"the function {getattr(metric, '__qualname__', type(metric).__qualname__)}"
    )


def _rows_of(samples: Samples) -> Iterator[NDArray[Any] | str]:
    """X as it is read: whole, or some rows at a time of what is streamed."""
    if not samples.streamed:
        yield samples.sample
        return
    yield f"{samples.X.dtype.str} {samples.X.shape}"
    at_once = max(1, BYTES_CHECKED_AT_ONCE // (samples.X.shape[1] * samples.X.dtype.itemsize))
    for start in range(0, samples.X.shape[0], at_once):
        yield np.asarray(samples.X[start : start + at_once])


def _parts_of(net: Network) -> Iterator[NDArray[Any] | str]:
    """All of a net that a training can go on from."""
    yield from (
        part for part in (net.params, net.loss_curve, net.validation_curve, net.validation_scores) if part is not None
    )
    if net._training is not None:
        header, arrays = described_state(net._training)
        yield json.dumps(header, sort_keys=True, default=_plain)
        yield from arrays.values()


def described_seed(seed: int | Random | None) -> Any:
    """The seed, or a digest of where it stands."""
    if not isinstance(seed, Random):
        return seed
    return DIGEST + hashlib.blake2b(json.dumps(Remembered(seed).described()).encode(), digest_size=16).hexdigest()


def _check_fits(reached: Reached, setup: Setup) -> None:
    """Raise ValueError where a file is of this call by its own account alone."""
    net, problem = reached.net, setup.problem
    epochs = net.n_epochs - setup.before.n_epochs
    if (net.sizes, net.dtype) != (problem.sizes, setup.samples.targets.values.dtype) or not 0 <= epochs <= setup.epochs:
        raise ValueError("its net is not one of this call; give another file")
    state = net._training
    if not reached.ended and (state is None or state.problem.solver != problem.solver):
        raise ValueError("it holds no state of this training; give another file")
    if isinstance(setup.seed, Random) and reached.random.is_legacy != isinstance(setup.seed, np.random.RandomState):
        raise ValueError("its random numbers are not of the seed's kind; give another file")


def _plain(value: Any) -> Any:
    """NumPy's numbers, and arrays of one, as Python's own."""
    return value.item() if isinstance(value, np.generic | np.ndarray) else operator.index(value)


def _digest(*parts: NDArray[Any] | str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
        else:
            digest.update(f"{part.dtype.str} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
    return DIGEST + digest.hexdigest()
