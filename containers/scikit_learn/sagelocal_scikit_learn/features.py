"""A table as the features that a model was fitted with: their number, names and order.

scikit-learn keeps `n_features_in_`, and `feature_names_in_` for a model fitted with a DataFrame
whose column names are strings (scikit-learn glossary). A model that has neither takes documents,
as a text vectorizer does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from sagelocal_serve import BadRequest
from scipy import sparse

from sagelocal_scikit_learn.tables import Table


@dataclass(frozen=True)
class Expected:
    """What a model says of its features; `width` is None if it says nothing."""

    width: int | None = None
    names: tuple[str, ...] = ()

    @staticmethod
    def by(model: object) -> Expected:
        """What a fitted estimator, or a pipeline of them, expects."""
        width = getattr(model, "n_features_in_", None)
        names = getattr(model, "feature_names_in_", ())
        return Expected(None if width is None else int(width), tuple(map(str, names)))

    def arrange(self, table: Table) -> Any:
        """The table as the model takes it. Raises BadRequest, naming what does not fit."""
        if isinstance(table, pd.DataFrame):
            return self._of_frame(table)
        if sparse.issparse(table):
            return self._rows(table)
        if self.width is None:
            return _documents(table)
        rows = self._rows(table)
        if not self.names:
            return rows
        frame = pd.DataFrame(rows, columns=list(self.names))
        return frame.infer_objects() if rows.dtype.hasobject else frame

    def _of_frame(self, frame: pd.DataFrame) -> Any:
        if self.names:
            missing = [name for name in self.names if name not in frame.columns]
            if missing:
                raise BadRequest(
                    f"The body has no column {', '.join(map(repr, missing))}; it has "
                    f"{', '.join(map(repr, map(str, frame.columns)))}."
                )
            return frame[list(self.names)]
        if self.width is not None:
            return self._rows(frame.to_numpy())
        return _documents(frame.to_numpy()) if frame.shape[1] == 1 else frame

    def _rows(self, values: Any) -> Any:
        """One row per example, also of a body that is one row, or one column, without brackets."""
        if values.ndim < 2:
            values = values.reshape(-1, 1) if self.width == 1 else values.reshape(1, -1)
        if values.ndim != 2 or self.width not in (None, values.shape[1]):
            columns = f": {', '.join(self.names)}" if self.names else ""
            raise BadRequest(
                f"The body is a table of shape {values.shape}; the model takes rows of "
                f"{self.width} features{columns}."
            )
        if not values.shape[0]:
            raise BadRequest("The body has no rows.")
        return values


def _documents(values: NDArray[Any]) -> NDArray[Any]:
    """One text per example, also of a table of one column; numbers stay as they are."""
    if values.dtype.kind not in "OUT":
        return values
    return values.reshape(-1) if values.ndim == 0 or values.shape[1:] == (1,) else values
