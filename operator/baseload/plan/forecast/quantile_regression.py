"""Linear quantile regression of many servings at once, by iteratively reweighted least squares."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TAUS = np.array([0.1, 0.5, 0.7, 0.85, 0.93, 0.97])
"""The quantiles that are fitted; others are read between them."""
RIDGE = 20.0
_EPSILON = np.float32(0.02)
"""Residuals smaller than this share of the scale weigh as this: the loss is rounded at its kink."""


def fit(design: Array, targets: Array, weights: Array, start: Array | None, iterations: int) -> Array:
    """Return coefficients (servings, taus, features) with the least weighted quantile loss.

    `design` has the shape (servings, features, samples), `targets` and `weights` (servings, samples); a sample of
    weight 0 is ignored. Minimises sum of weights * rho_tau((z - x beta) / sd) + RIDGE |beta|^2 / 2 without penalty on
    the first feature, the intercept; sd is the weighted deviation of z. Each iteration solves least squares with
    weights |tau - 1[r < 0]| / max(|r|, 0.02): Schlossmacher (1973). Single precision but for the solution itself.
    """
    features = design.shape[1]
    scale = _deviation(targets, weights)
    x = (design / scale[:, :, None]).astype(np.float32)
    x[:, 0] = 1.0
    z = (targets / scale).astype(np.float32)[:, None, :]
    left, right = np.triu_indices(features)
    moments = np.concatenate([x[:, left] * x[:, right], x * z], axis=1).transpose(0, 2, 1)
    ridge = np.diag(np.r_[1e-6, np.full(features - 1, RIDGE)])
    beta = np.zeros((len(design), len(TAUS), features)) if start is None else start.copy()
    if start is not None:
        beta[:, :, 0] /= scale
    tilt = TAUS.astype(np.float32)[None, :, None]
    weight = weights.astype(np.float32)[:, None, :]
    gram = np.empty((*beta.shape, features))
    for _ in range(iterations):
        residual = z - beta.astype(np.float32) @ x
        bent = np.abs(tilt - (residual < 0)) * weight / np.maximum(np.abs(residual), _EPSILON)
        sums = (bent @ moments).astype(np.float64)
        gram[:, :, left, right] = gram[:, :, right, left] = sums[:, :, : len(left)]
        beta = np.linalg.solve(gram + ridge, sums[:, :, len(left) :, None])[..., 0]
    beta[:, :, 0] *= scale
    return beta


def _deviation(targets: Array, weights: Array) -> Array:
    """Return the weighted standard deviation of the targets, never zero."""
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    mean = (weights * targets).sum(axis=1, keepdims=True) / total
    return np.asarray(np.sqrt((weights * (targets - mean) ** 2).sum(axis=1, keepdims=True) / total) + 1e-3)
