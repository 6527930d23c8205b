"""How many nets a worker is given at a time: few at first, then, by what those took, as many as are worth the way."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from fastmlp.sweep.tasks import Outcome, Task

# Groups take this long, less towards the end so that no worker is left without; the way there and back takes 1 to 10 ms.
LONGEST, SHORTEST = 1.0, 0.2
GROUPS_LEFT_FOR_EACH = 4
# The first net on a worker loads the kernels: one of few numbers that is not like the others.
NUMBERS_KEPT = 9
# A shape that nobody has timed may be slower than others by this much.
CAUTION = 4.0


@dataclass(eq=False)
class Group:
    """Nets to be trained together.

    Attributes
    ----------
    tasks : the nets.
    losses : how often they were lost with their workers.
    """

    tasks: list[Task]
    losses: int = 0

    def halves(self) -> list[Group]:
        """Two groups, or one where there is but one net."""
        middle = len(self.tasks) // 2
        return [Group(part, self.losses) for part in (self.tasks[:middle], self.tasks[middle:]) if part]


class Portions:
    """The nets that wait, the costliest first, and those of one shape side by side."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        by_shape: dict[Any, list[Task]] = defaultdict(list)
        for task in sorted(tasks, key=lambda task: -task.cost):
            by_shape[_shape(task)].append(task)
        self._waiting = deque(task for alike in by_shape.values() for task in alike)
        self._cost = sum(task.cost for task in self._waiting)
        self._back: deque[Group] = deque()
        # Seconds for a unit of cost, by shape; under None of any.
        self._rates: dict[Any, deque[float]] = defaultdict(lambda: deque(maxlen=NUMBERS_KEPT))
        self._known: dict[Any, float] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._back)

    @property
    def is_timed(self) -> bool:
        """Whether it is known how long nets take."""
        return bool(self._known)

    def take_back(self, group: Group) -> None:
        """Have a group wait again, before all others."""
        self._back.append(group)

    def learn(self, tasks: Iterable[Task], outcomes: Sequence[Outcome]) -> None:
        """Take note of how long nets took."""
        by_place = {task.place: task for task in tasks}
        timed = [(by_place[outcome.place], outcome.seconds) for outcome in outcomes if outcome.network is not None]
        for task, seconds in timed[-NUMBERS_KEPT:]:
            for key in (_shape(task), None):
                self._rates[key].append(seconds / max(task.cost, 1.0))
                self._known[key] = median(self._rates[key])

    def cut(self, workers: int, threads: int) -> Group:
        """The next group, for a worker with so many threads."""
        if self._back:
            return self._back.popleft()
        if not self._known:
            return Group([self._next() for _ in range(min(threads, len(self._waiting)))])
        seconds = self._cost * self._known[None] / (workers * threads * GROUPS_LEFT_FOR_EACH)
        budget = min(LONGEST, max(SHORTEST, seconds)) * threads
        taken = [self._next()]
        budget -= self._expected(taken[0])
        while self._waiting and (budget := budget - self._expected(self._waiting[0])) >= 0:
            taken.append(self._next())
        return Group(taken)

    def rest(self) -> tuple[list[Group], list[Task]]:
        """All that wait, which then wait no longer: groups that were lost before, and other nets."""
        lost = [group for group in self._back if group.losses]
        rest = [task for group in self._back if not group.losses for task in group.tasks]
        rest += self._waiting
        self._back.clear()
        self._waiting.clear()
        return lost, rest

    def _next(self) -> Task:
        task = self._waiting.popleft()
        self._cost -= task.cost
        return task

    def _expected(self, task: Task) -> float:
        known = self._known.get(_shape(task))
        return task.cost * (CAUTION * self._known[None] if known is None else known)


def _shape(task: Task) -> Any:
    problem = task.setup.problem
    return problem.sizes, problem.activations, problem.solver
