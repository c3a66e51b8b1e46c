"""The web-scale part: many centres, moved by one batch of rows after the other.

    p = new weight / (old weight + new weight)          of each centre
    centre = (1 - p) centre + p (mean of its new rows)

Source: the developer guide's page "How K-Means Clustering Works", after Sculley, "Web-Scale K-Means
Clustering". With a half-life all weights decay while rows go by, so that later rows count more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sagelocal_kmeans.distances import Floats, Vector, assign, sums


@dataclass(slots=True)
class Stream:
    """Centres that are moved by every batch, and the weight that each has gathered."""

    centers: Floats
    weights: Vector
    half_life: int = 0
    """Rows after which a row weighs half; 0 means never."""

    @staticmethod
    def beginning(centers: Floats, half_life: int = 0) -> Stream:
        """Centres that nothing weighs on yet: the first rows replace them."""
        return Stream(centers.copy(), np.zeros(len(centers)), half_life)

    def take(self, batch: Floats) -> None:
        """Move the centres by a batch of rows."""
        if self.half_life:
            self.weights *= 0.5 ** (len(batch) / self.half_life)
        new = sums(batch, assign(batch, self.centers).labels, len(self.centers))
        hit = new.weights > 0
        self.weights[hit] += new.weights[hit]
        share = (new.weights[hit] / self.weights[hit])[:, None]
        means = new.totals[hit] / new.weights[hit, None]
        self.centers[hit] = (1 - share) * self.centers[hit] + share * means
