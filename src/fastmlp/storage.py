"""Nets in safetensors files: arrays as they are, everything else in a JSON header, and a digest over both."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.network import Network
from fastmlp.options import Activation, Loss
from fastmlp.writing import written_whole

FORMAT = 1
# Arrays that only nets with validation have.
VALIDATION = ("validation_curve", "validation_scores")


def save(network: Network, path: str | os.PathLike[str], table: dict[str, Any] | None = None) -> Path:
    """See :meth:`Network.save`; with what is known of the `table` that the net was trained on, as JSON has it."""
    from safetensors.numpy import save as to_bytes

    arrays = {f"{kind}.{i}": array for kind in ("weights", "biases") for i, array in enumerate(getattr(network, kind))}
    curves = {"loss_curve": network.loss_curve, **{name: getattr(network, name) for name in VALIDATION}}
    arrays.update({name: curve for name, curve in curves.items() if curve is not None})
    header = {
        "format": FORMAT,
        "sizes": network.sizes,
        "activations": [activation.name.lower() for activation in network.activations],
        "loss": network.loss.name.lower(),
        "classes": _described(network.classes),
        "flat_targets": network.flat_targets,
        "best_epoch": network.best_epoch,
        "status": network.status,
    }
    if table is not None:
        header["table"] = table
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header["sha256"] = _digest(header, arrays)
    # One entry, since safetensors puts several in any order: the same net gives the same bytes.
    content = to_bytes(arrays, metadata={"fastmlp": json.dumps(header, sort_keys=True)})
    place = Path(path)
    with written_whole(place) as file:
        file.write(content)
    return place


def load(path: str | os.PathLike[str]) -> Network:
    """Read a net that :meth:`Network.save` wrote.

    Raises
    ------
    ValueError
        If the file is none of fastmlp's, is damaged, or was written by a newer version.
    OSError
        If the file cannot be read.
    """
    return load_with_table(path)[0]


def load_with_table(path: str | os.PathLike[str]) -> tuple[Network, dict[str, Any] | None]:
    """The same, and what the file knows of the table that the net was trained on."""
    from safetensors import SafetensorError, safe_open

    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(f"{place}: no such file")
    try:
        with safe_open(place, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(f"{place}: not a whole safetensors file ({error}); save the net again") from None
    if "fastmlp" not in metadata:
        raise ValueError(f"{place}: a safetensors file, but not one of fastmlp's; give one that Network.save wrote")
    header = json.loads(metadata["fastmlp"])
    if header.pop("sha256", None) != _digest(header, arrays):
        raise ValueError(f"{place}: the content does not match its digest; the file is damaged, save the net again")
    if header["format"] > FORMAT:
        raise ValueError(f"{place}: written in format {header['format']}, newer than {FORMAT}; update fastmlp")
    return _network(header, arrays), header.get("table")


def _network(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Network:
    n_layers = len(header["sizes"]) - 1
    parts = [arrays[f"{kind}.{layer}"].ravel() for kind in ("weights", "biases") for layer in range(n_layers)]
    classes = header["classes"]
    return Network(
        tuple(header["sizes"]),
        tuple(Activation[name.upper()] for name in header["activations"]),
        Loss[header["loss"].upper()],
        np.concatenate(parts),
        None if classes is None else np.array(classes["values"], dtype=classes["dtype"]),
        header["flat_targets"],
        arrays["loss_curve"],
        arrays.get("validation_curve"),
        arrays.get("validation_scores"),
        best_epoch=header.get("best_epoch"),
        status=header.get("status", "finished"),
    )


def _described(classes: NDArray[Any] | None) -> dict[str, Any] | None:
    if classes is None:
        return None
    values = [value.item() if isinstance(value, np.generic) else value for value in classes.tolist()]
    if not all(isinstance(value, (bool, int, float, str)) for value in values):
        raise TypeError(f"labels of dtype {classes.dtype} cannot be saved: use numbers, truth values or strings")
    return {"dtype": "object" if classes.dtype.kind == "O" else classes.dtype.str, "values": values}


def _digest(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode() + arrays[name].tobytes())
    return digest.hexdigest()
