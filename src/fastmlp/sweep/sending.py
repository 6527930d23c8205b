"""Ways to bring nets, and what they share, to the workers of an executor."""

from __future__ import annotations

import math
import pickle
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol

from fastmlp.sweep import worker
from fastmlp.sweep.configs import Config
from fastmlp.sweep.halt import Halt
from fastmlp.sweep.tasks import Outcome, Task
from fastmlp.sweep.worker import Reference, Shared, Terms

# What tells little is sent as it is.
PLAIN = (bool, int, float, str, type(None))
# Arguments of tasks go through Dask's scheduler, which is not made for large ones.
LARGE_FOR_DASK = 500_000
# Clusters grow and shrink.
SECONDS_BETWEEN_COUNTS = 1.0
TRIALS_TO_SCATTER = 4
SECONDS_TO_FETCH = 2.0
NOT_SENT = "executor: X, y or what nets share cannot be sent to other processes"

Answer = list[Outcome] | None


class UnsendableError(TypeError):
    """A net is asked for what other processes cannot be sent."""


def dumps(value: Any) -> bytes:
    """Pickle, with cloudpickle where it is there, as with Dask: it takes functions that no module has."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return bytes(cloudpickle.dumps(value))


class Parcels:
    """What is to be sent, in two kinds: once to each worker what nets share, and with each group what is theirs."""

    def __init__(
        self, X: Any, y: Any, common: Mapping[str, Any], configs: Sequence[Config], rows: Sequence[Any] | None
    ) -> None:
        self._configs, self._rows = configs, rows
        seen: dict[int, int] = {}
        things = [value for config in configs for name, value in config.items() if name != "seed"]
        for value in (*things, *(rows or ())):
            seen[id(value)] = seen.get(id(value), 0) + 1
        # By identity, which a value keeps as long as the configs hold it.
        kept = {
            id(value): value for value in (*things, *(rows or ())) if seen[id(value)] > 1 and not isinstance(value, PLAIN)
        }
        self._numbers = {key: number for number, key in enumerate(kept)}
        self.shared = Shared(X, y, common, list(kept.values()))

    @cached_property
    def blob(self) -> bytes:
        """What nets share, pickled.

        Raises
        ------
        TypeError
            If it cannot be.
        """
        try:
            return dumps(self.shared)
        except Exception as error:
            raise TypeError(f"{NOT_SENT}: {error}") from error

    def nets(self, places: Sequence[int]) -> bytes:
        """The nets at these places, pickled.

        Raises
        ------
        UnsendableError
            If they cannot be.
        """
        configs = [{name: self._sent(value) for name, value in self._configs[place].items()} for place in places]
        rows = None if self._rows is None else [self._sent(self._rows[place]) for place in places]
        try:
            return dumps((places, configs, rows))
        except Exception as error:
            raise UnsendableError(
                f"executor: a parameter cannot be sent to other processes: {error}. Define functions at the top of a "
                "module, or install cloudpickle"
            ) from error

    def _sent(self, value: Any) -> Any:
        number = self._numbers.get(id(value))
        return value if number is None else Reference(number)


class Carrier(Protocol):
    """Brings nets to workers."""

    @property
    def workers(self) -> int:
        """How many groups of nets can be trained at a time, at the last look around."""

    @property
    def is_apart(self) -> bool:
        """Whether workers are processes of their own, which nets can end."""

    @property
    def tells_begun(self) -> bool:
        """Whether what is begun cannot be cancelled any more."""

    def look_around(self) -> None:
        """See which workers there are; called before anything is sent."""

    def submit(self, tasks: Sequence[Task], terms: Terms, again: bool) -> Future[Answer]:
        """Send nets; `again` where they came back untrained, for want of what they share."""

    def is_cut_off(self) -> bool:
        """Whether what was sent is lost without anybody saying so."""


class Beside:
    """Threads of this process, which need nothing sent."""

    is_apart, tells_begun = False, True

    def __init__(self, executor: Executor, halt: Halt) -> None:
        self._executor, self._halt = executor, halt
        self.workers: int = getattr(executor, "_max_workers", worker.cores())

    def look_around(self) -> None:
        """Do nothing: they are always the same."""

    def submit(self, tasks: Sequence[Task], terms: Terms, again: bool) -> Future[Answer]:
        """Have the nets trained as they are."""
        return self._executor.submit(worker.train_tasks, tasks, terms.threads, self._halt)

    def is_cut_off(self) -> bool:
        """No."""
        return False


class Posted:
    """Workers of any executor. What nets share goes with one group for each of them, and again where it is missing."""

    is_apart, tells_begun = True, True

    def __init__(self, executor: Executor, parcels: Parcels) -> None:
        self._executor, self._parcels, self.token = executor, parcels, uuid.uuid4().hex
        self.workers: int = getattr(executor, "_max_workers", None) or worker.cores()
        self._to_go = 0 if _is_yet_to_fork(executor) else self.workers
        if self._to_go:
            # What cannot be sent is told of before any work.
            _ = parcels.blob
        # Where workers turn out to be of this process, or are yet to be forked from it, they have it already.
        worker.remember(self.token, parcels.shared)

    def look_around(self) -> None:
        """Do nothing: they are always the same."""

    def submit(self, tasks: Sequence[Task], terms: Terms, again: bool) -> Future[Answer]:
        """Send the nets, pickled."""
        nets = self._parcels.nets([task.place for task in tasks])
        blob = self._parcels.blob if again or self._to_go > 0 else None
        self._to_go -= not again
        return self._executor.submit(worker.train_sent, self.token, blob, nets, terms)

    def is_cut_off(self) -> bool:
        """No: such executors say what they lose."""
        return False


def _is_yet_to_fork(executor: Executor) -> bool:
    method = getattr(getattr(executor, "_mp_context", None), "get_start_method", str)()
    return method == "fork" and not getattr(executor, "_processes", True)


class Scattered:
    """A Dask cluster, which itself brings what nets share to each worker once."""

    is_apart, tells_begun = True, False

    def __init__(self, executor: Executor, parcels: Parcels) -> None:
        self._executor, self._parcels, self._client = executor, parcels, getattr(executor, "_client")  # noqa: B009
        self._looked, self.workers = -math.inf, 1
        self._shared: Any = None
        self._reached: set[str] = set()
        self._fetching: list[Any] = []
        self._large: dict[Future[Answer], Any] = {}

    def look_around(self) -> None:
        """Count the threads of all workers, which come and go, and have what nets share brought to those that are new."""
        if time.monotonic() < self._looked + SECONDS_BETWEEN_COUNTS:
            return
        threads = self._client.nthreads()
        if self._shared is None:
            self._shared, self._reached = self._scattered(self._parcels.shared), set()
        # Dask gives work to those that have what it needs, and would leave others without. (To have it broadcast has been
        # seen to hang where a worker was lost meanwhile.)
        self._fetching = [
            self._client.submit(worker.fetch, self._shared, workers=[address], pure=False)
            for address in set(threads) - self._reached
        ]
        if not self._reached:
            end = time.monotonic() + SECONDS_TO_FETCH
            for one in self._fetching:
                # Who is slow, or lost, is not waited for.
                with suppress(Exception):
                    one.result(timeout=max(0.0, end - time.monotonic()))
        self._reached = set(threads)
        self._looked, self.workers = time.monotonic(), sum(threads.values()) or 1

    def submit(self, tasks: Sequence[Task], terms: Terms, again: bool) -> Future[Answer]:
        """Send the nets, pickled."""
        nets: Any = self._parcels.nets([task.place for task in tasks])
        is_large = len(nets) > LARGE_FOR_DASK
        if is_large:
            nets = self._scattered(nets)
        # Nets that are sent again are not those of before to Dask either, which would give back the same failure.
        submit: Any = self._executor.submit
        sent: Future[Answer] = submit(worker.train_group, self._shared, nets, terms, pure=False)
        if is_large:
            self._large[sent] = nets
            sent.add_done_callback(lambda done: self._large.pop(done, None))
        return sent

    def _scattered(self, value: Any) -> Any:
        """What stands for the value once it is on a worker."""
        for trial in range(TRIALS_TO_SCATTER):
            try:
                return self._client.scatter(value, hash=False)
            except (TypeError, pickle.PicklingError) as error:
                raise TypeError(f"{NOT_SENT}: {error}") from error
            except Exception:
                # A worker that is lost meanwhile is one that Dask has not heard of yet.
                if trial == TRIALS_TO_SCATTER - 1 or self._client.status != "running":
                    raise
                time.sleep(SECONDS_BETWEEN_COUNTS / 4)
        raise AssertionError

    def is_cut_off(self) -> bool:
        """Whether all workers that had it were lost: then what waits for it may wait for ever, unless it is sent anew."""
        sent = [*self._large.values(), *([] if self._shared is None else [self._shared])]
        try:
            is_lost = not all(self._client.who_has(sent).values())
        except Exception:
            # So Dask says it of what it has forgotten.
            is_lost = True
        if is_lost:
            self._shared, self._looked = None, -math.inf
        return is_lost


def carrier_of(executor: Executor, parcels: Parcels, halt: Halt) -> Carrier:
    """The way to an executor's workers."""
    if isinstance(executor, ThreadPoolExecutor):
        return Beside(executor, halt)
    if hasattr(getattr(executor, "_client", None), "scatter"):
        return Scattered(executor, parcels)
    return Posted(executor, parcels)
