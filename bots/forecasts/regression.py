"""Logistic regression with a ridge penalty, fitted by iteratively reweighted least squares. Pure: numpy alone.

The log-likelihood of labels y (0 or 1) under p = 1 / (1 + exp(−βᵀx)), less ridge / 2 · |β|² without the intercept, is
maximised by Newton's steps β ← β + (X W Xᵀ + R)⁻¹ (X (y − p) − R β), where W = diag(p (1 − p)), R = diag(0, ridge, …).
Hastie, Tibshirani, Friedman: The Elements of Statistical Learning, 2nd ed., 4.4.1, eq. 4.26; the penalty: le Cessie,
van Houwelingen: Ridge estimators in logistic regression, Applied Statistics 41 (1992), 191 to 201.

Sums go by einsum, which does not hand them to a library whose order of adding depends on how many threads it has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from markets.series import Column

STEPS = 50
PRECISE = 1e-10  # a step is the last when it moves no coefficient by more


@dataclass(frozen=True, slots=True)
class Regression:
    """A fitted model. means, scales: of each feature in training, shape (k,); weights: intercept first, (k + 1,)."""

    means: Column
    scales: Column
    weights: Column

    def probability(self, features: Column) -> Column:
        """features: shape (k, n) -> shape (n,); each value is computed by itself, whatever stands beside it."""
        log_odds = np.full(features.shape[1], self.weights[0])
        for weight, feature in zip(self.weights[1:], standardized(features, self.means, self.scales), strict=True):
            log_odds += weight * feature
        return sigmoid(log_odds)


def standardized(features: Column, means: Column, scales: Column) -> Column:
    return (features - means[:, None]) / scales[:, None]


def sigmoid(log_odds: Column) -> Column:
    """Without overflow: the exponential is of what is never above 0."""
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds < 0.0, small, 1.0) / (1.0 + small)


def fit(features: Column, rises: Column, ridge: float) -> Regression:
    """features: shape (k, n), all known; rises: shape (n,), 0 or 1. Raises ArithmeticError when no step is the last."""
    means, deviations = features.mean(axis=1), features.std(axis=1)
    scales = np.where(deviations > 0.0, deviations, 1.0)  # a feature that never changes says nothing
    x = np.concatenate([np.ones((1, features.shape[1])), standardized(features, means, scales)])
    return Regression(means, scales, _weights(x, rises, ridge))


def _weights(x: Column, rises: Column, ridge: float) -> Column:
    weights, penalty = np.zeros(len(x)), np.full(len(x), ridge)
    penalty[0] = 0.0
    value = _objective(x, rises, weights, penalty)
    for _ in range(STEPS):
        step = _newton(x, rises, weights, penalty)
        # The objective is concave, but a whole step may go too far.
        while (new := _objective(x, rises, weights + step, penalty)) < value and np.abs(step).max() > PRECISE:
            step /= 2.0
        weights, value = weights + step, new
        if np.abs(step).max() <= PRECISE:
            return weights
    raise ArithmeticError(f"the regression did not settle in {STEPS} steps.")


def _newton(x: Column, rises: Column, weights: Column, penalty: Column) -> Column:
    p = sigmoid(np.einsum("i,in->n", weights, x))
    gradient = np.einsum("in,n->i", x, rises - p) - penalty * weights
    return np.asarray(np.linalg.solve(np.einsum("in,jn->ij", x * (p * (1.0 - p)), x) + np.diag(penalty), gradient))


def _objective(x: Column, rises: Column, weights: Column, penalty: Column) -> float:
    """Penalised log-likelihood: y z − log(1 + exp(z)), summed."""
    log_odds = np.einsum("i,in->n", weights, x)
    return float((rises * log_odds - np.logaddexp(0.0, log_odds)).sum() - (penalty * weights**2).sum() / 2.0)
