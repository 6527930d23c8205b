"""A net together with the columns that it takes and the target that it predicts."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastmlp import storage
from fastmlp.files.columns import Columns
from fastmlp.files.errors import TableError
from fastmlp.files.parts import Array, Source, shown
from fastmlp.files.target import Target
from fastmlp.headers import HeaderError, list_of, nothing_or, number, record, text, whole
from fastmlp.network import Network


def _label(value: object, where: str) -> None:
    """A text or a number."""
    if not isinstance(value, str):
        number()(value, where)


_NUMBER = record({"name": text, "mean": number(), "scale": number(0), "missing": whole()})
_CATEGORY = record({"name": text, "values": list_of(text), "missing": whole()})
# What a model's file knows of its table, as `Columns` and `Target` write it.
TABLE = record(
    {
        "columns": record({"numbers": list_of(_NUMBER), "categories": list_of(_CATEGORY)}),
        "target": record(
            {"name": text, "labels": nothing_or(list_of(_label, least=1)), "mean": number(), "scale": number(0)}
        ),
    }
)


@dataclass
class Model:
    """A net for a table. What it predicts is in the target's labels or units."""

    network: Network
    columns: Columns
    target: Target

    @classmethod
    def of(cls, network: Network, columns: Columns, target: Target) -> Model:
        """Of a net that was trained on class numbers or standardised targets."""
        if target.labels is not None:
            assert network.classes is not None
            network = replace(network, classes=target.classes[network.classes])
        return cls(network, columns, target)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a safetensors file, which ``fastmlp.load`` reads too: there the net alone."""
        return storage.save(self.network, path, {"columns": self.columns.as_json(), "target": self.target.as_json()})

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read it.

        Raises
        ------
        TableError
            If the file is no whole model, or was saved by ``Network.save`` and knows no columns.
        """
        try:
            network, table = storage.load_with_table(path)
        except (OSError, ValueError) as error:
            raise TableError(str(error)) from None
        if table is None:
            raise TableError(f"{path}: a net without columns, saved from Python; predict with fastmlp.load(...).predict(X)")
        try:
            with storage.believed(path, storage.NET):
                TABLE(table, "the table")
                model = cls(network, Columns.from_json(table["columns"]), Target.from_json(table["target"]))
                model.check()
        except ValueError as error:
            raise TableError(str(error)) from None
        return model

    def check(self) -> None:
        """Raise HeaderError where the columns are not the net's, or the target is not."""
        network, columns, target = self.network, self.columns, self.target
        names = [target.name, *(column.name for column in columns.all)]
        if len(set(names)) < len(names):
            raise HeaderError("two columns, or a column and the target, have one name")
        if any(len(set(column.values)) < len(column.values) for column in columns.categories):
            raise HeaderError("a category stands twice in a column")
        if columns.width != network.sizes[0]:
            raise HeaderError(f"the columns make {columns.width} numbers, but the net takes {network.sizes[0]}")
        if not network.flat_targets or network.is_classifier != (target.labels is not None):
            raise HeaderError(f"the target is one of {target.task}, the net is not")
        labels = target.labels
        if network.classes is None or labels is None:
            return
        kinds = {type(label) for label in labels}
        # Texts as objects would take many times their memory as an array.
        if len(kinds) > 1 or (str in kinds) != (network.classes.dtype.kind == "U"):
            raise HeaderError(f"the target's labels are not of one kind, or not of the net's {network.classes.dtype}")
        if network.classes.tolist() != labels or labels != sorted(set(labels)):
            raise HeaderError("the target's labels are not the net's classes, in their order")

    def check_columns(self, source: Source) -> None:
        """Raise TableError where columns are missing."""
        missing = [name for name in self.columns.kinds if name not in source.names]
        if missing:
            raise TableError(
                f"{source.path}: column {shown(missing)} is missing; the net takes {shown(self.columns.kinds)}, the file "
                f"has {shown(source.names)}. Give the columns these names"
            )

    def predict(self, X: Array) -> tuple[Array, Array | None]:
        """The predictions (n_samples,) for rows as the net takes them, and probabilities if it knows classes."""
        if self.target.labels is None:
            return self.target.mean + self.target.scale * self.network.predict(X).astype(np.float64), None
        probabilities = self.network.predict_proba(X)
        assert self.network.classes is not None
        return self.network.classes[probabilities.argmax(axis=1)], probabilities
