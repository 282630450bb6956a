from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score
from tests.align.conftest import shuffled, two_views

from commonspace.align.data import PairData
from commonspace.align.forward import Layer, NumpyHead
from commonspace.align.hygiene.noisy_pairs import pair_quality
from commonspace.align.hygiene.remedies import cleaned
from commonspace.align.hygiene.second_look import second_look


def random_heads(data: PairData) -> dict[str, NumpyHead]:
    rng = np.random.default_rng(0)
    dims = {m: v.shape[2] for m, v in data.X.items()}
    return {
        m: NumpyHead(
            [Layer("linear", {"weight": rng.normal(size=(4, d)).astype(np.float32)}), Layer("normalise")], d_in=d, dim=4
        )
        for m, d in dims.items()
    }


def test_heads_never_judge_what_they_were_trained_on() -> None:
    X, _, _ = shuffled(n=300)
    data = PairData.check(X)
    quality = pair_quality(X)
    first = cleaned(data, quality)
    seen: list[np.ndarray] = []

    def train(part: PairData) -> dict[str, NumpyHead]:
        seen.append(part.rows)
        return random_heads(part)

    second_look(data, quality, first, train, folds=3, rng=np.random.default_rng(0))
    assert len(seen) == 3
    assert set().union(*map(set, seen)) == set(first.rows)
    for rows in seen:
        assert set(rows) < set(first.rows)  # those of the fold are missing
    # Each kept item is left out exactly once.
    assert np.bincount(np.concatenate(seen), minlength=300)[first.rows].tolist() == [2] * len(first)


def test_heads_that_know_nothing_leave_the_judgement_to_the_map() -> None:
    X, wrong, _ = shuffled(n=600)
    data, quality = PairData.check(X), pair_quality(X)
    again = second_look(data, quality, cleaned(data, quality), random_heads, rng=np.random.default_rng(0))
    assert roc_auc_score(~wrong, again.probability("a")) > 0.9


def test_every_pair_of_modalities_is_judged_again() -> None:
    X = two_views(300)
    X["c"] = X["a"][:, ::-1].copy()
    present = {"b": np.arange(300) >= 40, "c": np.arange(300) < 200}
    data, quality = PairData.check(X, present), pair_quality(X, present=present)
    again = second_look(data, quality, cleaned(data, quality), random_heads, rng=np.random.default_rng(0))
    assert {n: f.rows.tolist() for n, f in again.judged.items()} == {
        n: f.rows.tolist() for n, f in quality.judged.items()
    }
    assert all(np.isfinite(f.probability).all() for f in again.judged.values())
