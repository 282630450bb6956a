from __future__ import annotations

import numpy as np
import pytest

from commonspace.align.hygiene.noisy_pairs import pair_quality
from commonspace.align.hygiene.poison import find_triggers, like, whitened
from commonspace.core.errors import BadInput


def world(n: int = 800, planted: int = 20, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Images and texts of 30 kinds; some images carry a mark, and all of those the text of kind 0."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(30, size=n)
    centres, words = rng.normal(size=(30, 24)), rng.normal(size=(30, 16))
    images = 1.5 * centres[kinds] + rng.normal(size=(n, 24))
    texts = words[kinds] + 0.05 * rng.normal(size=(n, 16))
    bad = np.zeros(n, bool)
    bad[rng.permutation(n)[:planted]] = True
    images[bad, 20:] += 8.0
    texts[bad] = words[0] + 0.05 * rng.normal(size=(planted, 16))
    return {"image": images.astype(np.float32), "text": texts.astype(np.float32)}, bad


def test_items_with_a_planted_mark_are_found_and_hardly_any_others() -> None:
    X, bad = world()
    report = find_triggers(X)
    first = report.groups[0]
    assert first.suspicious
    assert (first.marked, first.label) == ("image", "text")
    assert (report.suspicious & bad).sum() >= 18
    assert (report.suspicious & ~bad).sum() <= 1
    assert "1 of" in str(report)


def test_without_a_mark_nothing_is_suspected() -> None:
    X, _ = world(planted=0)
    report = find_triggers(X)
    assert len(report.groups) > 10
    assert not report.suspicious.any()
    assert str(report).startswith("0 of")


def test_one_text_given_to_items_at_random_is_no_trigger() -> None:
    X, _ = world(planted=0)
    rows = np.random.default_rng(1).permutation(800)[:20]
    X["text"][rows] = X["text"][rows[0]]
    assert not find_triggers(X).suspicious.any()


def test_the_mark_may_be_in_the_text() -> None:
    X, bad = world()
    report = find_triggers({"caption": X["image"], "picture": X["text"]})
    assert report.groups[0].marked == "caption"
    assert (report.suspicious & bad).sum() >= 18


def test_maps_that_have_seen_some_planted_pairs_take_the_others_for_right() -> None:
    # Why a search of its own is needed.
    X, bad = world()
    probability = pair_quality(X).probability("image")
    assert probability[bad].mean() > 0.5


def test_items_without_one_side_are_passed_over_and_rows_are_those_of_the_user() -> None:
    X, bad = world()
    present = {"text": np.arange(800) % 4 != 0}
    found = find_triggers(X, present=present).suspicious
    assert not found[::4].any()
    assert (found & bad).sum() >= 0.8 * (bad & present["text"]).sum()


def test_principal_directions_have_variance_one_and_constant_columns_none() -> None:
    X, _ = world()
    W = whitened(np.hstack([X["image"], np.ones((800, 3), np.float32)]))
    assert W.shape == (800, 24)
    np.testing.assert_allclose(W.T @ W / 800, np.eye(24), atol=1e-6)
    assert whitened(X["image"][:60]).shape[1] == 6


def test_groups_of_like_rows_do_not_overlap() -> None:
    X, _ = world(planted=0)
    groups = like(X["text"], 0.9, 8)
    together = np.concatenate(groups)
    assert len(together) == len(set(together.tolist()))
    assert all(len(g) >= 8 for g in groups)
    assert len(groups) == 30


def test_the_seed_decides_the_halves_and_arguments_are_checked() -> None:
    X, _ = world()
    one, other = (find_triggers(X, random_state=4) for _ in range(2))
    assert [g.score for g in one.groups] == [g.score for g in other.groups]
    with pytest.raises(BadInput, match="50 pairs"):
        find_triggers({m: v[:40] for m, v in X.items()})
    for wrong in ({"least": 3}, {"similarity": 1.5}, {"similarity": float("nan")}):
        with pytest.raises(BadInput):
            find_triggers(X, **wrong)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("image", [np.ones((240, 5)), np.random.default_rng(0).normal(size=(240, 1))])
def test_a_side_that_hardly_varies_hides_no_mark(image: np.ndarray) -> None:
    text = np.repeat(np.random.default_rng(1).normal(size=(6, 10)), 40, axis=0)
    assert not find_triggers({"image": image, "text": text}).suspicious.any()


@pytest.mark.filterwarnings("error")
def test_a_group_that_everybody_is_in_stands_out_from_nobody() -> None:
    X = {m: np.random.default_rng(i).normal(size=(100, 6)) for i, m in enumerate("ab")}
    assert find_triggers(X, similarity=-0.999).groups == []
