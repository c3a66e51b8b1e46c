"""The faiss index that a job asks for, filled with its rows."""

from __future__ import annotations

import math
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from sagelocal_knn.hyperparameters import Settings, multiple

Floats = NDArray[np.float32]

# Bits of a quantized part; fewer where there are not 2^8 rows to learn from.
_PART_BITS = 8

# The share of an IVF index's lists that is looked at: faiss's own default, one list, finds too few.
_PROBED_SHARE = 0.1
_LEAST_PROBED = 8


def build(points: Floats, settings: Settings) -> Any:
    """An index of the points, in their order.

    It is wider than they are where faiss.IVFPQ cannot divide them into even parts.
    """
    points = filled_up(points, multiple(points.shape[1], settings.faiss_index_pq_m))
    width = points.shape[1]
    metric = faiss.METRIC_L2 if settings.index_metric == "L2" else faiss.METRIC_INNER_PRODUCT
    flat = faiss.IndexFlat(width, metric)
    index: Any = flat
    if settings.index_type != "faiss.Flat":
        index = _inverted(flat, points, settings)
        index.train(points)
    index.add(points)
    return index


def filled_up(rows: Floats, width: int) -> Floats:
    """Rows of this width, with zeros after what they have: no distance changes by that."""
    if rows.shape[1] == width:
        return rows
    wider = np.zeros((len(rows), width), np.float32)
    wider[:, : rows.shape[1]] = rows
    return wider


def _inverted(flat: Any, points: Floats, settings: Settings) -> Any:
    """An IVF index that has learned nothing yet."""
    width, metric = flat.d, flat.metric_type
    lists = settings.faiss_index_ivf_nlists or round(math.sqrt(settings.sample_size))
    lists = max(1, min(lists, len(points)))
    index: Any
    if settings.index_type == "faiss.IVFFlat":
        index = faiss.IndexIVFFlat(flat, width, lists, metric)
    else:
        bits = min(_PART_BITS, max(1, int(math.log2(len(points)))))
        index = faiss.IndexIVFPQ(flat, width, lists, settings.faiss_index_pq_m, bits, metric)
        index.pq.cp.min_points_per_centroid = 1
    index.nprobe = min(lists, max(_LEAST_PROBED, math.ceil(_PROBED_SHARE * lists)))
    # Few rows per list are the user's choice; faiss would warn of it on standard error.
    index.cp.min_points_per_centroid = 1
    return index
