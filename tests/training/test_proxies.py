"""Neighbours and linear probe on features, against scikit-learn."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from selector.training import proxies
from selector.training.cache import PrefixCache
from tests.training.cache.conftest import make_named_split, make_network_of

CPU = torch.device("cpu")
PREDICTIONS = [proxies.knn_log_probabilities, proxies.probe_log_probabilities]


@pytest.fixture
def features():
    """Training features (90, 12), their labels, and validation features (40, 12): three clouds."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 12))
    labels = rng.integers(0, 3, 130)
    cloud = torch.tensor(centres[labels] + rng.normal(size=(130, 12)), dtype=torch.float32)
    return cloud[:90], torch.tensor(labels[:90]), cloud[90:]


def test_neighbours_vote_as_scikit_learns_do(features):
    train, labels, validation = features
    reference = KNeighborsClassifier(
        n_neighbors=proxies.NEIGHBOURS,
        metric="cosine",
        weights=lambda distance: np.exp(-distance / proxies.TEMPERATURE),
    ).fit(train.numpy(), labels.numpy())
    got = np.exp(proxies.knn_log_probabilities(train, labels, validation, n_classes=3))
    np.testing.assert_allclose(got, reference.predict_proba(validation.numpy()), atol=2e-3)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-5)


def test_the_probe_is_the_logistic_regression_of_scikit_learn(features):
    train, labels, validation = features
    scaler = StandardScaler().fit(train.numpy())
    reference = LogisticRegression(C=1 / (proxies.PENALTY * len(train)), tol=1e-8, max_iter=1000)
    reference.fit(scaler.transform(train.numpy()), labels.numpy())
    wanted = log_softmax(reference.decision_function(scaler.transform(validation.numpy())), axis=1)
    got = proxies.probe_log_probabilities(train, labels, validation, n_classes=3)
    np.testing.assert_allclose(got, wanted, atol=1e-2)


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_the_same_features_give_the_same_bits(predict, features):
    train, labels, validation = features
    first = predict(train, labels, validation, n_classes=3)
    np.testing.assert_array_equal(first, predict(train, labels, validation, n_classes=3))


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_few_samples_unseen_classes_and_dead_features_are_no_trouble(predict, features):
    train, labels, validation = (part[:5] for part in features)
    dead = torch.full((5, 2), 7.0)
    train, validation = torch.cat([train, dead], 1), torch.cat([validation, dead + 1], 1)
    got = predict(train, labels, validation, n_classes=4)
    assert got.shape == (5, 4)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_the_scale_of_the_features_does_not_matter(predict, features):
    train, labels, validation = features
    plain = predict(train, labels, validation, n_classes=3)
    tiny = predict(train * 2**-30, labels, validation * 2**-30, n_classes=3)
    np.testing.assert_allclose(tiny, plain, atol=1e-3)


@pytest.mark.parametrize("name", ["toy:cnn", "timm:mobilenetv3_small_050"])
def test_features_are_alike_with_and_without_the_cache(name: str, tmp_path: Path):
    split = make_named_split(67, size=32)
    cache = PrefixCache(tmp_path, quota_bytes=10**9, admit=lambda cost: True)
    network = make_network_of(name, 5, size=32)
    options = {"device": CPU, "precision": "fp32"}
    plain = proxies.pooled_features(network, split, **options, prefix_cache=None)
    filled = proxies.pooled_features(network, split, **options, prefix_cache=cache)
    read = proxies.pooled_features(network, split, **options, prefix_cache=cache)
    assert plain.shape == (67, network.backbone.feature_dim)
    assert torch.equal(plain, filled) and torch.equal(plain, read)
    # A split that nobody can name is computed, not kept.
    nameless = dataclasses.replace(split, content="")
    assert torch.equal(
        plain, proxies.pooled_features(network, nameless, **options, prefix_cache=cache)
    )
