"""Nets in safetensors files: arrays as they are, everything else in a JSON header, and a digest over both."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastmlp.network import Network
from fastmlp.options import Activation, Loss
from fastmlp.stored_state import described_state, state_from
from fastmlp.writing import written_whole


class Kind(NamedTuple):
    """What a file may hold: the key of its header, what it is called, and what writes and reads it."""

    key: str
    called: str
    writer: str
    reader: str


NET = Kind("fastmlp", "net", "Network.save", "fastmlp.load")
SWEEP = Kind("fastmlp_sweep", "sweep", "Sweep.save", "fastmlp.Sweep.load")
FORMAT = 1
# The second and the third are those of nets with validation alone.
CURVES = ("loss_curve", "validation_curve", "validation_scores")


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
    return write(path, NET, header, arrays)


def load(path: str | os.PathLike[str]) -> Network:
    """Read a net that :meth:`Network.save` wrote.

    Raises
    ------
    ValueError
        If the file is none of fastmlp's, holds a sweep, is damaged, or was written by a newer version.
    OSError
        If the file cannot be read.
    """
    return load_with_header(path)[0]


def load_with_table(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any] | None]:
    """The same, and what the file knows of the table that the net was trained on."""
    network, header = load_with_header(path)
    return network, header.get("table")


def load_with_header(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any]]:
    """The same, and the whole header."""
    header, arrays = read(path, NET, FORMAT)
    n_layers = len(header["sizes"]) - 1
    parts = [arrays[f"{kind}.{layer}"].ravel() for kind in ("weights", "biases") for layer in range(n_layers)]
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


def write(path: str | os.PathLike[str], kind: Kind, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write a file of this kind, whole or not at all; the digest comes into its header."""
    from safetensors.numpy import save as to_bytes

    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = {**header, "sha256": _digest(header, arrays)}
    # One entry, since safetensors puts several in any order: the same net gives the same bytes.
    content = to_bytes(arrays, metadata={kind.key: json.dumps(header, sort_keys=True)})
    place = Path(path)
    with written_whole(place) as file:
        file.write(content)
    return place


def read(path: str | os.PathLike[str], kind: Kind, newest: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays of a file of this kind, in a format up to the newest one known.

    Raises
    ------
    ValueError
        If the file is none of fastmlp's, of another kind, is damaged, or is in a newer format.
    OSError
        If the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    place, again = Path(path), f"save the {kind.called} again"
    if not place.is_file():
        raise FileNotFoundError(f"{place}: no such file")
    try:
        with safe_open(place, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{place}: not a whole safetensors file ({error}); {again}") from None
    if kind.key not in metadata:
        raise ValueError(f"{place}: {_what_else(metadata, kind)}")
    try:
        header: dict[str, Any] = json.loads(metadata[kind.key])
        is_whole = header.pop("sha256", None) == _digest(header, arrays)
    except json.JSONDecodeError:
        is_whole = False
    if not is_whole:
        raise ValueError(f"{place}: the content does not match its digest; the file is damaged, {again}")
    if header["format"] > newest:
        raise ValueError(f"{place}: written in format {header['format']}, newer than {newest}; update fastmlp")
    return header, arrays


def _what_else(metadata: Mapping[str, str], wanted: Kind) -> str:
    """What a file is that is not of the kind wanted."""
    for kind in (NET, SWEEP):
        if kind.key in metadata:
            return f"the file holds a {kind.called}, not a {wanted.called}; read it with {kind.reader}"
    return f"a safetensors file, but not one of fastmlp's; give one that {wanted.writer} wrote"


def described(network: Network) -> dict[str, Any]:
    """What a net is, without its parameters, labels and curves, as JSON has it."""
    return {
        "sizes": network.sizes,
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


def described_labels(classes: NDArray[Any] | None) -> dict[str, Any] | None:
    """Labels as JSON has them.

    Raises
    ------
    TypeError
        If they are neither numbers, truth values nor strings.
    """
    if classes is None:
        return None
    values = [value.item() if isinstance(value, np.generic) else value for value in classes.tolist()]
    if not all(isinstance(value, (bool, int, float, str)) for value in values):
        raise TypeError(f"labels of dtype {classes.dtype} cannot be saved: use numbers, truth values or strings")
    return {"dtype": "object" if classes.dtype.kind == "O" else classes.dtype.str, "values": values}


def labels_of(described: Mapping[str, Any] | None) -> NDArray[Any] | None:
    """Labels that were described so."""
    return None if described is None else np.array(described["values"], dtype=described["dtype"])


def _digest(header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode() + arrays[name].tobytes())
    return digest.hexdigest()
