from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from commonspace.align.gap_bridge import BRIDGES, GapBridge, choose_bridge
from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.core.vectors import unit


def cloud(n: int = 400, dim: int = 6, seed: int = 0, offset: float = 0.7, spread: float = 0.05) -> list[np.ndarray]:
    """Texts, and images that lie a fixed offset away with noise along the first axis."""
    rng = np.random.default_rng(seed)
    texts = unit(rng.normal(size=(n, dim)))
    images = texts + offset * unit(np.ones(dim)) + spread * rng.normal(size=(n, 1)) * np.eye(dim)[0]
    return [v.astype(np.float32) for v in (texts, images)]


def test_without_shift_and_noise_rows_stay_where_they_are() -> None:
    texts, _ = cloud()
    bridge = GapBridge(shift="none", noise=0.0).fit(texts)
    np.testing.assert_allclose(bridge.transform(texts), texts, atol=1e-6)


def test_the_mean_shift_undoes_an_offset_without_knowing_the_pairs() -> None:
    texts, images = cloud(spread=0.0)
    order = np.random.default_rng(1).permutation(len(texts))
    bridge = GapBridge(shift="mean", noise=0.0).fit(texts, images[order])
    np.testing.assert_allclose(bridge.transform(texts), unit(images), atol=1e-5)
    GapBridge(shift="mean", noise=0.1).fit(texts, images[:7])  # nor how many there are


def test_the_linear_shift_undoes_a_turn() -> None:
    texts, _ = cloud()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    bridge = GapBridge(shift="linear", noise=0.0).fit(texts, texts @ turn)
    np.testing.assert_allclose(bridge.transform(texts), texts @ turn, atol=1e-4)


def test_a_number_is_the_standard_deviation_of_each_coordinate() -> None:
    bridge = GapBridge(shift="none", noise=0.3).fit(np.eye(4, dtype=np.float32))
    np.testing.assert_allclose(bridge.noise_.T @ bridge.noise_, 0.09 * np.eye(4), atol=1e-6)


@pytest.mark.parametrize("shift", ["none", "mean", "linear"])
def test_structured_noise_has_the_covariance_that_the_shift_leaves_over(shift: str) -> None:
    texts, images = cloud()
    bridge = GapBridge(shift=shift, noise="covariance").fit(texts, images)
    moved = (texts @ bridge.weights_ if shift == "linear" else texts) + bridge.offset_
    np.testing.assert_allclose(bridge.noise_.T @ bridge.noise_, np.cov((images - moved).T), atol=1e-6)


def test_isotropic_noise_is_as_wide_as_the_pairs_are_apart() -> None:
    texts, images = cloud()
    bridge = GapBridge(shift="none", noise="isotropic").fit(texts, images)
    apart = np.square(images - texts).sum(1).mean()
    assert np.square(bridge.noise_).sum() == pytest.approx(apart, rel=1e-5)
    half = GapBridge(shift="none", noise="isotropic", scale=0.5).fit(texts, images)
    np.testing.assert_allclose(half.noise_, bridge.noise_ / 2, rtol=1e-6)


def test_drawn_noise_has_the_covariance_it_should() -> None:
    texts, images = cloud(spread=0.02)
    bridge = GapBridge(shift="mean", noise="covariance", scale=0.5).fit(texts, images)
    row = 100 * texts[:1]  # so long that length and direction hardly change: noise is seen as it is
    drawn = bridge.draws(row, 20_000) * np.linalg.norm(row + bridge.offset_)
    along = np.cov(drawn.T)
    assert along[0, 0] == pytest.approx((0.5 * 0.02) ** 2, rel=0.15)


def test_draws_are_unit_rows_in_the_order_of_tiled_labels_and_repeat_by_seed() -> None:
    texts, images = cloud(20)
    bridge = GapBridge(noise="covariance", scale=0.1).fit(texts, images)
    rows = bridge.draws(texts, 3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    nearest = (rows @ unit(texts + bridge.offset_).T).argmax(1)
    assert (nearest == np.tile(np.arange(20), 3)).mean() > 0.9
    np.testing.assert_array_equal(rows, bridge.draws(texts, 3))
    assert np.abs(rows[:20] - rows[20:40]).max() > 1e-4
    other = GapBridge(noise="covariance", scale=0.1, random_state=1).fit(texts, images)
    assert np.abs(other.transform(texts) - bridge.transform(texts)).max() > 1e-4


@pytest.mark.parametrize("name", BRIDGES)
def test_a_bridge_is_written_down_as_plain_data_and_arrays(name: str) -> None:
    texts, images = cloud()
    bridge = GapBridge(**BRIDGES[name].get_params()).fit(texts, images)
    plain, arrays = bridge.split_state()
    back = GapBridge(**json.loads(json.dumps(bridge.get_params()))).load_state(json.loads(json.dumps(plain)), arrays)
    np.testing.assert_array_equal(back.draws(texts, 2), bridge.draws(texts, 2))
    assert back.fingerprint == bridge.fingerprint


def test_no_rows_and_one_row_are_rows_too() -> None:
    texts, images = cloud()
    bridge = GapBridge().fit(texts, images)
    assert bridge.transform(texts[:0]).shape == (0, 6)
    assert bridge.transform(texts[:1]).shape == (1, 6)
    assert bridge.transform_target(images) is images


def test_what_cannot_be_learned_is_refused_in_words() -> None:
    texts, images = cloud()
    with pytest.raises(BadInput, match="fit\\(X, Y\\)"):
        GapBridge().fit(texts)
    with pytest.raises(BadInput, match="needs pairs"):
        GapBridge(shift="none", noise="isotropic").fit(texts, images[:9])
    with pytest.raises(BadInput, match="at least 2 pairs"):
        GapBridge().fit(texts[:1], images[:1])
    with pytest.raises(SpaceMismatch):
        GapBridge().fit(texts, images[:, :3])
    with pytest.raises(NotFitted):
        GapBridge().transform(texts)
    for wrong in ({"shift": "up"}, {"noise": -0.1}, {"noise": "loud"}, {"scale": float("nan")}):
        with pytest.raises(BadInput):
            GapBridge(**wrong)


def labelled(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two classes, whose images lie so far away that a head of the texts calls all of them one."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    texts = unit(np.column_stack([2 * y - 1 + 0.3 * rng.normal(size=n), np.ones(n), 0.3 * rng.normal(size=n)]))
    return texts.astype(np.float32), unit(texts + np.array([2.0, 0, 0])).astype(np.float32), y


def test_a_head_of_texts_works_on_images_over_a_bridge() -> None:
    texts, _, y = labelled(0)
    pair_texts, pair_images, _ = labelled(1, 60)
    _, images, truth = labelled(2)
    head = LogisticRegression()
    assert head.fit(texts, y).score(images, truth) < 0.6
    bridge = GapBridge().fit(pair_texts, pair_images)
    assert head.fit(bridge.draws(texts, 4), np.tile(y, 4)).score(images, truth) > 0.9


def test_the_choice_falls_on_a_bridge_that_works_and_leaves_what_it_got_as_it_was() -> None:
    texts, _, y = labelled(0)
    pair_texts, pair_images, truth = labelled(1, 60)
    head = LinearSVC()
    found = choose_bridge(head, texts, y, (pair_texts, pair_images), truth)
    assert set(found.scores) == set(BRIDGES)
    assert found.scores[found.name] == max(found.scores.values()) > 0.9
    assert found.scores["none"] < 0.6
    assert found.bridge.get_params() == BRIDGES[found.name].get_params()
    assert not hasattr(head, "coef_")
    assert not BRIDGES[found.name].state()
    again = choose_bridge(head, texts, y, (pair_texts, pair_images), truth)
    assert again.scores == found.scores


def test_a_choice_without_pairs_labels_or_bridges_is_refused() -> None:
    texts, images, y = labelled(0, 40)
    for pairs, labels, options in (
        ((texts[:3], images[:3]), y[:3], {}),
        ((texts, images), y[:9], {}),
        ((texts, images), y, {"bridges": {}}),
        ((texts, images), y, {"folds": 1}),
    ):
        with pytest.raises(BadInput):
            choose_bridge(LogisticRegression(), texts, y, pairs, labels, **options)


def test_it_needs_no_torch() -> None:
    program = "import sys; from commonspace.align import GapBridge; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_noise_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadInput, match="noise must be a number"):
        GapBridge(noise=None)  # type: ignore[arg-type]
