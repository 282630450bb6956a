import numpy as np
import pytest
import torch
from tests.bridge_worlds import rows

from commonspace.upgrade.bridges.perceptron import BATCH, How, drawn, info_nce, learned, noisy, tuned
from commonspace.upgrade.bridges.training import Batch


def naive(a, b, same, temperature=0.07):
    total = 0.0
    for asks, searched, alike in ((a, b, same), (b, a, same.T)):
        for i in range(len(a)):
            scores = [float(asks[i] @ searched[j]) / temperature for j in range(len(a)) if i == j or not alike[i, j]]
            own = float(asks[i] @ searched[i]) / temperature
            total += np.log(np.sum(np.exp(scores))) - own
    return total / (2 * len(a))


def test_contrast_is_the_formula_and_rows_that_land_together_are_no_negatives():
    a, b = rows(6, 5, seed=1), rows(6, 5, seed=2)
    same = np.eye(6, dtype=bool)
    same[1, 4] = same[4, 1] = True
    got = info_nce(torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(same)).item()
    assert got == pytest.approx(naive(a, b, same), rel=1e-4)
    assert got < naive(a, b, np.eye(6, dtype=bool))


def test_noise_has_the_length_that_is_asked_for_and_leaves_unit_rows():
    torch.manual_seed(0)
    x = torch.from_numpy(rows(4000, 50))
    moved = noisy(x, 0.5)
    np.testing.assert_allclose(moved.norm(dim=1).numpy(), 1, atol=1e-5)
    # x + e with |e| = l across x has the cosine 1 / sqrt(1 + l^2) with x.
    assert (moved * x).sum(dim=1).mean().item() == pytest.approx(1 / np.sqrt(1.25), abs=0.01)
    assert noisy(x, 0.0) is x


def test_a_batch_is_drawn_without_repeats():
    x = torch.arange(600)[:, None].float()
    batch = drawn(Batch(x, x))
    assert len(batch) == BATCH
    assert len(batch.start.unique()) == BATCH
    assert torch.equal(batch.start, batch.land)
    assert len(drawn(Batch(x[:9], x[:9]))) == 9


def test_modalities_count_alike_however_many_rows_they_have():
    # Two modalities contradict each other: the one place lies halfway, and not where the larger one is.
    x = np.repeat(rows(1, 4), 300, axis=0)
    there = {m: np.repeat(rows(1, 4, seed=s), n, axis=0) for m, s, n in (("text", 1, 300), ("image", 2, 20))}
    head = learned({"text": x, "image": x[:20]}, there, How(8, 400, 0.0, 0.0), np.random.default_rng(0))
    landed = head(x[:1])[0]
    assert landed @ there["text"][0] == pytest.approx(landed @ there["image"][0], abs=0.05)
    assert landed @ (there["text"][0] + there["image"][0]) == pytest.approx(
        np.linalg.norm(there["text"][0] + there["image"][0]), abs=0.02
    )


def test_things_of_which_one_side_is_the_same_do_not_push_each_other_away():
    # All have the one text: nothing is a negative of anything, so that there is nothing to learn.
    x = {"text": rows(60, 4)}
    how = How(8, 50, 0.0, 0.0)
    head = learned(x, {"text": rows(60, 5, seed=1)}, how, np.random.default_rng(0))
    texts, images = np.repeat(rows(1, 4), 40, axis=0), rows(40, 4, seed=2)
    alike, apart = (
        tuned(head, (t, images), How(8, 200, 0.0, 0.0), 0.0, np.random.default_rng(0))(images)
        for t in (texts, rows(40, 4, seed=3))
    )
    np.testing.assert_allclose(alike, head(images), atol=5e-3)  # weights decay a little
    assert np.abs(apart - head(images)).max() > 0.05


def test_columns_are_brought_to_one_scale_together():
    x = rows(80, 4) * np.array([1, 1, 1, 0.01], np.float32)
    head = learned({"text": x}, {"text": rows(80, 5, seed=1)}, How(8, 1, 0.0, 0.0), np.random.default_rng(0))
    scale = head.layers[0].arrays["scale"]
    assert head.layers[0].op == "standardise"
    np.testing.assert_allclose(scale, scale[0])


def test_torch_is_left_as_it_was():
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    x = {"text": rows(20, 4)}
    learned(x, {"text": rows(20, 5, seed=1)}, How(8, 3, 0.5, 0.1), np.random.default_rng(0))
    assert torch.equal(torch.rand(2), want)
