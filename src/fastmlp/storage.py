"""Nets in safetensors files: arrays as they are, everything else in a JSON header, and a digest over both."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.headers import (
    HeaderError,
    anything,
    check_arrays,
    check_room,
    list_of,
    nothing_or,
    one_of,
    parsed,
    record,
    shown,
    truth,
    whole,
)
from fastmlp.labels import LABELS, check_labels, described_labels, labels_of
from fastmlp.network import STATUSES, Network
from fastmlp.options import Activation, Loss
from fastmlp.stored_state import described_state, state_from
from fastmlp.tensors import Tensors
from fastmlp.writing import named, written_whole


class Kind(NamedTuple):
    """What a file may hold.

    `key` is that of its header, `called` what it is called, `writer` and `reader` those who write and read it, and `room`
    how many times the file's length the header's objects may take: a sweep has a dict for each net.
    """

    key: str
    called: str
    writer: str
    reader: str
    room: int


NET = Kind("fastmlp", "net", "Network.save", "fastmlp.load", 0)
SWEEP = Kind("fastmlp_sweep", "sweep", "Sweep.save", "fastmlp.Sweep.load", 16)
FORMAT = 1
# The second and the third are those of nets with validation alone.
CURVES = ("loss_curve", "validation_curve", "validation_scores")
FLOATS = ("float32", "float64")
# Arrays of which a net's header tells under this name, and nobody here.
TRAINING = "training"

# What a net is, as `described` writes it; the first files did not have the status.
NETWORK = {
    "sizes": list_of(whole(1), least=2),
    "activations": list_of(one_of([activation.name.lower() for activation in Activation])),
    "loss": one_of([loss.name.lower() for loss in Loss]),
    "flat_targets": truth,
}
STATUS = {"status": one_of(STATUSES)}
HEADER = record(
    {"format": whole(1), **NETWORK, "classes": nothing_or(LABELS)},
    {**STATUS, "best_epoch": nothing_or(whole(1)), "table": anything, TRAINING: anything, "checkpoint": anything},
)


def save(
    network: Network,
    path: str | os.PathLike[str],
    table: dict[str, Any] | None = None,
    *,
    training: bool = False,
    checkpoint: dict[str, Any] | None = None,
) -> Path:
    """See :meth:`Network.save`; with what is known, as JSON has it, of the `table` trained on or the call to go on with."""
    arrays = {f"{kind}.{i}": array for kind in ("weights", "biases") for i, array in enumerate(getattr(network, kind))}
    curves = {name: getattr(network, name) for name in CURVES}
    arrays.update({name: curve for name, curve in curves.items() if curve is not None})
    header = {
        "format": FORMAT,
        **described(network),
        "classes": described_labels(network.classes),
        "best_epoch": network.best_epoch,
    }
    header.update({name: part for name, part in (("table", table), ("checkpoint", checkpoint)) if part is not None})
    if training:
        if network._training is None:
            raise ValueError("training=True: this net has no training to go on with; save it without")
        header["training"], state = described_state(network._training)
        arrays.update(state)
    return write(path, NET, header, arrays, _check_net)


def load(path: str | os.PathLike[str]) -> Network:
    """Read a net that :meth:`Network.save` wrote.

    Nothing of a file is believed or executed: one that was made to harm is refused like a damaged one, and before memory is
    taken that it does not fill.

    Raises
    ------
    ValueError
        If the file is none of fastmlp's, holds a sweep, is damaged, or was written by a newer version.
    OSError
        If the file cannot be read.
    """
    return load_with_header(path)[0]


def load_with_table(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any] | None]:
    """The same, and what the file knows of the table that the net was trained on, which nobody has checked."""
    network, header = load_with_header(path)
    return network, header.get("table")


def load_with_header(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any]]:
    """The same, and the whole header, of which nobody has checked what it knows of a table or a checkpoint."""
    header, arrays = read(path, NET, FORMAT, _check_net)
    n_layers = len(header["sizes"]) - 1
    parts = [arrays.pop(f"{kind}.{layer}").ravel() for kind in ("weights", "biases") for layer in range(n_layers)]
    labels, best_epoch = labels_of(header["classes"]), header.get("best_epoch")
    net = network_of(header, np.concatenate(parts), labels, arrays, best_epoch)
    if "training" in header:
        try:
            net._training = state_from(header["training"], arrays, net)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path}: the training's state is not one of fastmlp's ({error}); save the net again"
            ) from None
    return net, header


Checked = Callable[[dict[str, Any], Mapping[str, NDArray[Any]]], None]


def _check_net(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise HeaderError where header and arrays are not those of a net."""
    HEADER(header, "the header")
    check_labels([header["classes"]])
    curves = {name: arrays[name] for name in CURVES if name in arrays}
    check_described(
        header, header["classes"], {name: curve.size for name, curve in curves.items()}, header.get("best_epoch")
    )
    dtype = _float_of(arrays, "weights.0")
    wanted: dict[str, tuple[Any, tuple[int, ...]]] = {}
    for layer, shape in enumerate(pairwise(header["sizes"])):
        wanted |= {f"weights.{layer}": (dtype, shape), f"biases.{layer}": (dtype, shape[1:])}
    check_finite({name: arrays[name] for name in wanted if name in arrays})
    wanted |= {name: (_float_of(arrays, name), (curve.size,)) for name, curve in curves.items()}
    check_arrays(arrays, wanted, f"{TRAINING}." if TRAINING in header else None)


def _float_of(arrays: Mapping[str, NDArray[Any]], name: str) -> np.dtype[Any]:
    """The dtype of an array, one of those that nets have."""
    if name not in arrays or arrays[name].dtype.name not in FLOATS:
        found = f"is {arrays[name].dtype}" if name in arrays else "is missing"
        raise HeaderError(f"the array {name!r} {found}; it must be float32 or float64")
    return arrays[name].dtype


def check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise HeaderError where parameters are not finite: a net that diverges keeps the last that were."""
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise HeaderError(f"the array {name!r} holds NaN or infinity")


def check_described(
    described: Mapping[str, Any], labels: Mapping[str, Any] | None, lengths: Mapping[str, int], best_epoch: int | None
) -> None:
    """Raise HeaderError where what a net is does not go together; its parts are checked."""
    sizes, loss, n_outputs = described["sizes"], Loss[described["loss"].upper()], described["sizes"][-1]
    if len(described["activations"]) != len(sizes) - 2:
        raise HeaderError(f"there are {len(described['activations'])} activations for {len(sizes) - 2} hidden layers")
    if labels is not None:
        n_classes = len(labels["values"])
        suits = {Loss.CROSS_ENTROPY: n_classes == n_outputs, Loss.BINARY_CROSS_ENTROPY: n_classes <= 2 and n_outputs == 1}
        if not suits.get(loss, False):
            raise HeaderError(f"{n_classes} classes do not suit {n_outputs} outputs and the loss {described['loss']}")
    elif loss == Loss.CROSS_ENTROPY:
        raise HeaderError("there are no classes, but the loss is cross_entropy")
    elif described["flat_targets"] and n_outputs > 1:
        raise HeaderError(f"flat_targets is true, but there are {n_outputs} outputs")
    n_epochs = lengths.get("loss_curve")
    if n_epochs is None or any(length != n_epochs for length in lengths.values()):
        raise HeaderError(f"the curves are of different lengths, or there is no loss_curve: {shown(dict(lengths))}")
    if best_epoch is not None and best_epoch > n_epochs:
        raise HeaderError(f"best_epoch is {best_epoch}, but there are {n_epochs} epochs")


def write(
    path: str | os.PathLike[str], kind: Kind, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]], check: Checked
) -> Path:
    """Write a file of this kind, whole or not at all; the digest comes into its header.

    Raises
    ------
    ValueError
        If the check, or what else is checked when it is read, would refuse it.
    """
    from safetensors.numpy import save as to_bytes

    place = Path(path)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = {**header, "sha256": digest_of(header, arrays)}
    # One entry, since safetensors puts several in any order: the same net gives the same bytes.
    content = to_bytes(arrays, metadata={kind.key: json.dumps(header, sort_keys=True)})
    try:
        check({name: entry for name, entry in header.items() if name != "sha256"}, arrays)
        check_room(content[8 : 8 + int.from_bytes(content[:8], "little")], kind.room * len(content))
    except HeaderError as error:
        raise ValueError(
            f"{place}: not saved, since it could not be read again: {error}; correct the {kind.called}"
        ) from None
    with written_whole(place) as file:
        file.write(content)
    return place


def read(
    path: str | os.PathLike[str], kind: Kind, newest: int, check: Checked
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of a file of this kind, in a format up to the newest one known, as the check allows them.

    Raises
    ------
    ValueError
        If the file is none of fastmlp's, of another kind, is damaged, or is in a newer format.
    OSError
        If the file cannot be read.
    """
    place, again = Path(path), f"save the {kind.called} again"
    if not place.is_file():
        raise FileNotFoundError(f"{place}: no such file")
    with named(place), place.open("rb") as file:
        with blamed(f"{place}: not a whole safetensors file (", f"); {again}"):
            tensors = Tensors(file, kind.room)
        if kind.key not in tensors.metadata:
            raise ValueError(f"{place}: {_what_else(tensors.metadata, kind)}")
        with blamed(f"{place}: ", f"; the file is damaged, {again}"):
            header, arrays = parsed(tensors.metadata[kind.key]), tensors.arrays()
            _check_digest(header, arrays)
    with believed(place, kind):
        whole(1)(header.get("format"), "format")
    if header["format"] > newest:
        raise ValueError(f"{place}: written in format {header['format']}, newer than {newest}; update fastmlp")
    with believed(place, kind):
        check(header, arrays)
    return header, arrays


@contextmanager
def blamed(before: str, after: str) -> Iterator[None]:
    """Puts the file's name and the remedy around what is wrong with its content."""
    try:
        yield
    except HeaderError as error:
        wrong = str(error)
    except RecursionError:
        wrong = "lists or dicts lie too deep in one another"
    except MemoryError:
        wrong = "there is not enough memory for what it holds"
    else:
        return
    raise ValueError(f"{before}{wrong}{after}")


def believed(path: str | os.PathLike[str], kind: Kind) -> AbstractContextManager[None]:
    """The same for what a file with the right digest says."""
    return blamed(f"{path}: ", f"; {kind.writer} writes no such file, save the {kind.called} again")


def _check_digest(header: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Take the digest out of the header; raise HeaderError where it is not the content's."""
    if not isinstance(header, dict) or header.pop("sha256", None) != digest_of(header, arrays):
        raise HeaderError("the content does not match its digest")


def _what_else(metadata: Mapping[str, str], wanted: Kind) -> str:
    """What a file is that is not of the kind wanted."""
    for kind in (NET, SWEEP):
        if kind.key in metadata:
            return f"the file holds a {kind.called}, not a {wanted.called}; read it with {kind.reader}"
    return f"a safetensors file, but not one of fastmlp's; give one that {wanted.writer} wrote"


def described(network: Network) -> dict[str, Any]:
    """What a net is, without its parameters, labels and curves, as JSON has it."""
    return {
        "sizes": list(network.sizes),
        "activations": [activation.name.lower() for activation in network.activations],
        "loss": network.loss.name.lower(),
        "flat_targets": network.flat_targets,
        "status": network.status,
    }


def network_of(
    described: Mapping[str, Any],
    params: NDArray[Any],
    classes: NDArray[Any] | None,
    curves: Mapping[str, NDArray[Any]],
    best_epoch: int | None,
) -> Network:
    """The net that was described so, with these parameters, labels and curves."""
    return Network(
        tuple(described["sizes"]),
        tuple(Activation[name.upper()] for name in described["activations"]),
        Loss[described["loss"].upper()],
        params,
        classes,
        described["flat_targets"],
        curves["loss_curve"],
        curves.get("validation_curve"),
        curves.get("validation_scores"),
        best_epoch=best_epoch,
        status=described.get("status", "finished"),
    )


def digest_of(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Over a header and arrays that lie in memory as they are counted."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        digest.update(arrays[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
