from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from bots.forecasts.regression import Regression, fit, sigmoid


def drawn(seed: int, count: int = 400, width: int = 4):
    """Features of different sizes, and outcomes that follow them loosely."""
    random = np.random.default_rng(seed)
    features = random.normal(0, 1, (width, count)) * 10.0 ** random.integers(-4, 3, width)[:, None]
    odds = (features / features.std(axis=1)[:, None] * random.normal(0, 1, width)[:, None]).sum(axis=0)
    rises = (random.random(count) < 1 / (1 + np.exp(-odds))).astype(float)
    rises[:2] = 0.0, 1.0
    return features, rises


def loss(weights, features, rises, ridge):
    """What is minimised, in plain loops over standardised features."""
    rows = []
    for feature in features.tolist():
        mean = math.fsum(feature) / len(feature)
        scale = math.sqrt(math.fsum((value - mean) ** 2 for value in feature) / len(feature))
        rows.append([(value - mean) / scale for value in feature])
    total = 0.0
    for at, rise in enumerate(rises.tolist()):
        odds = weights[0] + sum(weight * row[at] for weight, row in zip(weights[1:], rows, strict=True))
        total += math.log1p(math.exp(-odds if rise else odds))
    return total + ridge / 2 * sum(weight**2 for weight in weights[1:])


@pytest.mark.parametrize(("seed", "ridge"), [(1, 1.0), (2, 0.1), (3, 30.0)])
def test_it_finds_what_a_general_minimiser_finds(seed, ridge):
    features, rises = drawn(seed)
    found = fit(features, rises, ridge).weights
    expected = minimize(loss, np.zeros(5), (features, rises, ridge), method="BFGS", options={"gtol": 1e-3}).x
    assert found == pytest.approx(expected, abs=1e-4)
    assert loss(found, features, rises, ridge) <= loss(expected, features, rises, ridge) + 1e-9


@given(seed=st.integers(0, 10_000), ridge=st.sampled_from([0.01, 1.0, 100.0]))
def test_at_the_end_nothing_pulls_at_the_coefficients(seed, ridge):
    features, rises = drawn(seed)
    model = fit(features, rises, ridge)
    x = np.vstack([np.ones(400), (features - features.mean(axis=1)[:, None]) / features.std(axis=1)[:, None]])
    pull = x @ (rises - model.probability(features)) - np.array([0.0, *[ridge] * 4]) * model.weights
    assert np.abs(pull).max() < 1e-6


def test_outcomes_that_a_feature_separates_settle_for_the_penalty():
    feature = np.linspace(-1.0, 1.0, 200)
    model = fit(feature[None], (feature > 0).astype(float), 0.001)
    assert np.isfinite(model.weights).all()
    assert model.probability(np.array([[-1.0, 1.0]])) == pytest.approx([0.0, 1.0], abs=1e-6)


def test_a_feature_that_never_changes_says_nothing():
    features, rises = drawn(5)
    model = fit(np.vstack([features, np.full(400, 7.0)]), rises, 1.0)
    assert model.weights[:-1] == pytest.approx(fit(features, rises, 1.0).weights)
    assert model.weights[-1] == 0.0


def test_it_gives_the_share_of_rises_when_features_say_nothing():
    rises = np.array([1.0] * 30 + [0.0] * 70)
    assert fit(np.ones((1, 100)), rises, 1.0).probability(np.array([[5.0]])) == pytest.approx([0.3])


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 39))
def test_a_probability_has_the_same_bits_whatever_stands_beside_it(seed, cut):
    features, rises = drawn(seed)
    model, shown = fit(features, rises, 1.0), features[:, :40]
    whole = model.probability(shown)
    parts = [model.probability(shown[:, :cut]), model.probability(shown[:, cut:])]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_great_odds_do_not_overflow():
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
    assert sigmoid(np.array([0.3])) == pytest.approx([1 / (1 + math.exp(-0.3))])


def test_a_value_that_is_not_known_gives_none():
    model = Regression(np.zeros(1), np.ones(1), np.array([0.0, 1.0]))
    assert np.isnan(model.probability(np.array([[np.nan, 1.0]]))).tolist() == [True, False]
