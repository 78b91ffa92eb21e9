"""Propagation: relevance carried on to neighbouring locations with similar features.

Where a defect is a texture, a classifier needs a part of it, or its border, to name it. A random walk carries
relevance on: from a location to its neighbours, the likelier the more similar their features are, and back to
the evidence now and then: a random walk with restart (Tong et al. 2006), on features of a classifier (Ahn and
Kwak 2018).
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from skimage.transform import resize, resize_local_mean

from relmask.arrays import FloatArray

RESTART = 0.01
"""Chance of every step to begin again at the evidence: 100 steps in between, on average."""
CONTRAST = 5.0
"""How much likelier the walk goes where features are alike: exp(-CONTRAST * distance)."""
STEP = 2
"""Length of a step of the walk, in locations, in a disc."""
SHARE = 0.5
"""Share of propagated relevance in the result; the rest is plain, which knows small defects better."""


def propagate(relevance: FloatArray, features: FloatArray) -> FloatArray:
    """Relevance (H, W), in part as it is, in part propagated to similar locations; its peak is about kept.

    Args:
        relevance: of one class.
        features: of the same picture, (C, h, w), standardised.
    """
    shape = relevance.shape
    evidence = resize_local_mean(relevance.clip(min=0), features.shape[1:])
    carried = resize(walk(evidence, features), shape, order=1, mode="edge")
    peak = relevance.max(initial=0.0)
    if peak <= 0:
        return relevance
    mixed: FloatArray = ((1 - SHARE) * relevance + SHARE * peak / carried.max() * carried).astype(np.float32)
    return mixed


def walk(evidence: FloatArray, features: FloatArray) -> FloatArray:
    """Evidence (h, w) that a walk from each location meets, on average, where steps go to similar features.

    Args:
        evidence: of each location.
        features: of the locations, (C, h, w), standardised.
    """
    height, width = evidence.shape
    count = height * width
    places = np.arange(count).reshape(height, width)
    rows, columns, weights = [places.ravel()], [places.ravel()], [np.ones(count)]
    for down in range(STEP + 1):
        for right in range(-STEP, STEP + 1):
            if (down, right) <= (0, 0) or down**2 + right**2 > STEP**2 + 1:
                continue
            here = np.s_[: height - down, max(-right, 0) : width - max(right, 0)]
            there = np.s_[down:, max(right, 0) : width + min(right, 0)]
            difference = features[:, *here] - features[:, *there]
            alike = np.exp(-CONTRAST * np.sqrt(np.square(difference).mean(0))).ravel()
            one, other = places[here].ravel(), places[there].ravel()
            rows += [one, other]
            columns += [other, one]
            weights += [alike, alike]
    steps = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=(count, count)
    )
    steps = sparse.diags(1 / np.asarray(steps.sum(1)).ravel()) @ steps
    system = sparse.identity(count) - (1 - RESTART) * steps
    found: FloatArray = spsolve(system.tocsc(), RESTART * evidence.ravel()).reshape(evidence.shape)
    return found
