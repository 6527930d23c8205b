"""Features as users hand them in, checked and brought into the form the engines take, with NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastmlp.checks import as_array, as_float, as_numbers, check_room, is_truth, shown
from fastmlp.scales import ROWS_FOR_SPREAD

ROWS_AT_ONCE = 65_536
# X that would need a larger copy is read some batches at a time.
LARGEST_COPY = 64_000_000
BYTES_CHECKED_AT_ONCE = 4_000_000


def working_dtype(X: ArrayLike, dtype: Any) -> np.dtype[Any]:
    """float32 for float32 X, else float64, unless named.

    Raises
    ------
    ValueError
        If `dtype` is neither float32 nor float64.
    """
    if dtype is None:
        given = getattr(X, "dtype", None)
        is_float32 = isinstance(given, np.dtype) and given.newbyteorder("=") == np.float32
        return np.dtype(np.float32 if is_float32 else np.float64)
    for chosen in (np.dtype(np.float32), np.dtype(np.float64)) if isinstance(dtype, str | type | np.dtype) else ():
        if dtype in (chosen, chosen.type, chosen.name):
            return chosen
    raise ValueError(f"dtype={dtype!r}: choose float32 or float64, or None to follow X")


def as_matrix(X: ArrayLike, dtype: np.dtype[Any], first: int = 0) -> NDArray[Any]:
    """X as rows in C order in the working dtype: itself where it is so already, else one copy.

    Messages count rows from `first`.

    Raises
    ------
    TypeError
        If X is sparse, complex or holds what is no number.
    ValueError
        If X is not two-dimensional, is empty, or holds NaN or infinity.
    """
    columns = _names_of_columns(X)
    array = as_array("X", X)
    if array.ndim != 2:
        hint = "X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample"
        raise ValueError(f"X has {array.ndim} dimension(s), but needs rows and columns: {hint}")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise ValueError(f"X is empty, with shape {array.shape}: give at least one sample and one feature")
    if np.iscomplexobj(array):
        raise TypeError("X is complex: give real features, such as X.real and X.imag side by side")
    if array.dtype.kind not in "fiub":
        array = _numbers(array, columns)
    if not _lies_as_taken(array, dtype):
        check_room(f"X: a copy of shape {array.shape}", array.size * dtype.itemsize)
    with np.errstate(over="ignore"):
        rows = np.require(array, dtype, ["C_CONTIGUOUS", "ALIGNED"])
    require_finite(rows, array, columns, first)
    return rows


def _names_of_columns(X: Any) -> Any:
    """What messages call the columns, if they have names."""
    columns = getattr(X, "columns", None)
    # Of an Arrow table these are the columns themselves.
    return X.column_names if hasattr(X, "column_names") and isinstance(columns, list) else columns


def _lies_as_taken(X: Any, dtype: np.dtype[Any]) -> bool:
    """Whether X is an array whose memory the engines take as it is, a memory map's too."""
    if not isinstance(X, np.ndarray) or X.dtype != dtype:
        return False
    flags = X.flags
    return bool(flags.c_contiguous and flags.aligned)


def is_ready(X: Any, dtype: np.dtype[Any]) -> bool:
    """Whether X is a matrix that the engines take as it is: then only its values are left to be checked."""
    return type(X) is np.ndarray and X.ndim == 2 and X.size > 0 and _lies_as_taken(X, dtype)


def is_streamed(X: Any, dtype: np.dtype[Any]) -> bool:
    """Whether X is read some batches at a time: it takes row numbers, and as a whole would need a large copy."""
    shape, given = getattr(X, "shape", None), getattr(X, "dtype", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(given, np.dtype) or given.kind not in "fiub":
        return False
    if (
        hasattr(X, "toarray")
        or isinstance(X, np.ma.MaskedArray)
        or not hasattr(X, "__getitem__")
        or _lies_as_taken(X, dtype)
    ):
        return False
    return bool(shape[0] * shape[1] * dtype.itemsize > LARGEST_COPY)


def in_parts(X: Any, dtype: np.dtype[Any]) -> Iterator[tuple[NDArray[Any], int]]:
    """X as the engines take it, with the number of its first row: in one piece, or some rows at a time where streamed.

    Of an array that lies as they take it already the values are left to be checked.

    Raises
    ------
    TypeError, ValueError
        As `as_matrix`.
    """
    if is_ready(X, dtype):
        yield X, 0
    elif not is_streamed(X, dtype):
        yield as_matrix(X, dtype), 0
    else:
        for start in range(0, X.shape[0], ROWS_AT_ONCE):
            yield as_matrix(X[start : start + ROWS_AT_ONCE], dtype, start), start


def checked_sample(X: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read streamed data once, some rows at a time, and return about `ROWS_FOR_SPREAD` of them in the working dtype.

    Raises
    ------
    ValueError
        If X holds NaN, infinity or what is too large for the dtype.
    """
    n_samples, n_features = X.shape
    check_room("X: a row", n_features * dtype.itemsize)
    at_once = max(1, BYTES_CHECKED_AT_ONCE // (n_features * dtype.itemsize))
    step = max(1, n_samples // ROWS_FOR_SPREAD)
    kept = []
    for start in range(0, n_samples, at_once):
        given = np.asarray(X[start : start + at_once])
        with np.errstate(over="ignore"):
            rows = given.astype(dtype)
        require_finite(rows, given, None, start)
        kept.append(rows[-start % step :: step].copy())
    return np.concatenate(kept)


def require_numbers(X: Any) -> None:
    """Raise TypeError or ValueError where X, no sparse matrix, holds objects, texts or times that are no numbers."""
    dtypes = [X.dtype] if hasattr(X, "dtype") else list(getattr(X, "dtypes", [None]))
    if all(getattr(dtype, "kind", "O") in "fiubc" for dtype in dtypes):
        return
    array = as_array("X", X)
    if array.ndim == 2 and array.dtype.kind not in "fiubc":
        _numbers(array, _names_of_columns(X))


def _numbers(array: NDArray[Any], columns: Any) -> NDArray[Any]:
    for place in range(array.shape[1]):
        for row, value in enumerate(array[:, place]):
            try:
                if not is_truth(value):
                    as_float(value)
            except (TypeError, ValueError, OverflowError) as error:
                name = place if columns is None else repr(columns[place])
                told = shown(value.item() if isinstance(value, np.generic) else value)
                if isinstance(error, OverflowError):
                    raise ValueError(f"X: column {name} holds {told} in row {row}, which is too large; scale X") from None
                raise TypeError(
                    f"X: column {name} holds {told} in row {row}, which is no number; encode it "
                    "(for instance one-hot) or leave the column out"
                ) from None
    return array.astype(np.float64)


def surely_finite(values: NDArray[Any]) -> bool:
    """Whether one pass without a temporary array tells that all values are finite; almost always where they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(values, axis=None)))


def require_finite(rows: NDArray[Any], given: NDArray[Any], columns: Any = None, first: int = 0) -> None:
    """Raise ValueError where `rows`, made of `given`, are not finite; the first is row number `first` of X."""
    # Where the sum alone overflows, look closer.
    if surely_finite(rows):
        return
    bad = np.argwhere(~np.isfinite(rows))
    if not len(bad):
        return
    row, column = bad[0]
    name = column if columns is None else repr(columns[column])
    where = f"row {first + row}, column {name}"
    if np.isfinite(given[row, column]):
        raise ValueError(f"X: {given[row, column]} in {where} is too large for {rows.dtype}; scale X")
    raise ValueError(
        f"X holds {rows[row, column]} in {where}: leave out or fill in such values (for instance with the column's mean)"
    )


def check_lengths(n_rows: int, n_targets: int, name: str = "y") -> None:
    """Raise ValueError where there is not one target for each row of X."""
    if n_targets != n_rows:
        raise ValueError(
            f"{name.replace('y', 'X', 1)} has {n_rows} rows, but {name} has {n_targets}: give one target for each row"
        )


def lengths_differ(X: Any, y: Any) -> bool:
    """Whether X and y, by the shapes they say they have, are not of one length."""
    rows, targets = (getattr(given, "shape", None) for given in (X, y))
    if not isinstance(rows, tuple) or not isinstance(targets, tuple) or len(rows) != 2 or not targets:
        return False
    return bool(rows[0] > 0 < rows[1] and rows[0] != targets[0])


def require_room(X: Any) -> None:
    """Raise ValueError where the machine has no room for a copy of X, an array that does not lie in memory in one piece."""
    if isinstance(X, np.ndarray) and not X.flags.forc:
        check_room(f"X: a copy of shape {X.shape}", X.nbytes)


def finite_weights(sample_weight: ArrayLike, n_samples: int, name: str = "sample_weight") -> NDArray[np.float64]:
    """One weight for each sample.

    Raises
    ------
    TypeError, ValueError
        If they are not finite numbers from 0 on, one for each sample.
    """
    array = as_array(name, sample_weight)
    if array.shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(f"{name} has shape {array.shape}; give one weight for each of the {n_samples} samples")
    try:
        with np.errstate(over="ignore"):
            weights = as_numbers(array).astype(np.float64).reshape(n_samples)
    except TypeError:
        raise TypeError(f"{name} holds {array.dtype} values; give one number from 0 on for each sample") from None
    except OverflowError:
        raise ValueError(f"{name} holds weights too large for float64: scale them, only their ratios count") from None
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong.size:
        raise ValueError(f"{name} holds {weights[wrong[0]]} for sample {wrong[0]}; give finite numbers from 0 on")
    return weights


def check_total_weight(total: float, dtype: np.dtype[Any], name: str = "sample_weight") -> None:
    """Raise ValueError where the weights of all samples to train on add up to nothing, or to what has no room."""
    limits = np.finfo(dtype)
    if total == 0:
        raise ValueError(f"{name}: the samples to train on have no weight together; give some a positive one")
    if not 1e6 * float(limits.tiny) <= total <= 1e-6 * float(limits.max):
        raise ValueError(f"{name}: the weights add up to {total:g}; scale them, only their ratios count")
