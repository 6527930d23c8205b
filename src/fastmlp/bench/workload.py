"""What is measured: a net, its data and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.arguments import AUTO_BATCH

Array = NDArray[Any]


class Cost:
    """What follows from `sizes`, `n_samples`, `batch_size` (None is all of them) and `dtype`, which others have."""

    sizes: Any
    n_samples: int
    batch_size: Any
    dtype: Any

    @property
    def net(self) -> str:
        """The sizes in a row."""
        return "-".join(map(str, self.sizes))

    @property
    def steps(self) -> int:
        """Updates in a pass."""
        return int(-(-self.n_samples // (self.batch_size or self.n_samples)))

    @property
    def arithmetic(self) -> int:
        """Multiplications and additions in a pass; nobody needs the gradient of the input."""
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return int(self.n_samples * 2 * (3 * sum(products) - products[0]))

    @property
    def batch_bytes(self) -> int:
        """About what a library needs beside the data that takes a batch through layer by layer."""
        return int(3 * (self.batch_size or self.n_samples) * sum(self.sizes) * np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class Workload(Cost):
    """A classification net on data of so many samples, for some passes.

    `batch` is "auto" (200), "full" or a number of rows. Where the data are the user's own, `given` holds them.
    """

    n_samples: int
    n_features: int = 20
    hidden: tuple[int, ...] = (100,)
    n_classes: int = 2
    batch: int | str = "auto"
    solver: str = "adam"
    dtype: str = "float32"
    activation: str = "relu"
    learning_rate: float = 1e-3
    l2: float = 0.0
    passes: int = 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features, hidden units, classes."""
        return (self.n_features, *self.hidden, self.n_classes)

    @property
    def batch_size(self) -> int | None:
        """Rows in a batch; None for all of them."""
        size = {"auto": AUTO_BATCH, "full": self.n_samples}.get(str(self.batch))
        size = int(self.batch) if size is None else size
        return None if size >= self.n_samples else size

    @property
    def data_bytes(self) -> int:
        """Of the features and labels."""
        return self.n_samples * (self.n_features * np.dtype(self.dtype).itemsize + 8)

    def of(self, n_samples: int) -> Workload:
        """The same with another number of samples."""
        return replace(self, n_samples=n_samples)

    def data(self) -> tuple[Array, Array]:
        """Features and labels, the same for everybody: there is something to be learnt, and none of it is memorised."""
        return _data(self.n_samples, self.n_features, self.n_classes, self.dtype)


@lru_cache(maxsize=1)
def _data(n_samples: int, n_features: int, n_classes: int, dtype: str) -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    X = random.standard_normal((n_samples, n_features), np.dtype(dtype))
    directions = random.standard_normal((n_features, n_classes)).astype(dtype)
    return X, np.argmax(np.tanh(X @ directions), axis=1)


def sizes_between(low: int, high: int, each: int = 1) -> list[int]:
    """Round numbers from `low` to `high`, both included, `each` for every power of ten."""
    count = max(2, 1 + round(each * np.log10(high / low))) if high > low else 1
    exact = np.geomspace(low, high, count)
    sizes = [int(float(f"{size:.1e}")) for size in exact]
    return sorted({low, *sizes[1:-1], high})
