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
from fastmlp.network import Network


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
        return cls(network, Columns.from_json(table["columns"]), Target.from_json(table["target"]))

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
