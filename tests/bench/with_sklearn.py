"""The rivals of the numeric built-in algorithms: what one would write instead.

python with_sklearn.py pca|kmeans ROWS.npy MODEL.npz
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

kind, rows, model = sys.argv[1:]
features = np.load(rows)
if kind == "pca":
    pca = PCA(20).fit(features)
    np.savez(model, components=pca.components_, mean=pca.mean_)
else:
    np.savez(model, centers=KMeans(20, random_state=0).fit(features).cluster_centers_)
