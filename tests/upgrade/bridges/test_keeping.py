import numpy as np
import pytest
from tests.bridge_worlds import rows

from commonspace.upgrade.bridges import keeping
from commonspace.upgrade.bridges.keeping import cross_fitted, kept_by_modality, neighbours_kept, sample


def naive(asks, searched, truth, alike, k):
    kept = []
    for i in range(len(asks)):
        order = [np.argsort([-float(q[i] @ x) for x in items], kind="stable") for q, items in (truth, (asks, searched))]
        wanted, found = ([j for j in o if not (alike and j == i)][:k] for o in order)
        kept.append(len(set(wanted) & set(found)) / k)
    return np.mean(kept)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize(("n", "k"), [(100, 10), (21, 5), (3, 1)])
def test_it_is_the_share_of_nearest_neighbours_that_both_find(n, k, alike):
    a, b = rows(n, 8, 0), rows(n, 8, 1)
    across, truth = (a, a + 0.7 * b), (a, a)
    assert neighbours_kept(*across, truth, alike) == pytest.approx(naive(*across, truth, alike, k))


def test_what_is_the_same_keeps_all_and_chance_keeps_few():
    a, b = rows(200, 8, 0), rows(200, 8, 1)
    assert neighbours_kept(a, a, (a, a), True) == 1
    assert neighbours_kept(b, b, (a, a), True) < 0.15
    assert neighbours_kept(a[:1], a[:1], (a[:1], a[:1]), True) == 0


def test_each_row_crosses_by_what_has_not_seen_it():
    source = {"text": np.arange(31, dtype=np.float32)[:, None] + 1, "image": np.full((4, 1), 99, np.float32)}
    seen = []

    def learn(x, y):
        known = set(x["text"].ravel())
        seen.append(len(known))
        return lambda r, m: np.array([[v in known for v in r.ravel()]], np.float32).T

    landed = cross_fitted(learn, source, source, np.random.default_rng(0))
    assert not landed["text"].any()
    assert landed["image"].shape == (4, 1)
    assert sum(31 - s for s in seen) == 31


def test_every_modality_asks():
    z = {"text": rows(60, 5, 0), "image": rows(40, 5, 1)}
    assert kept_by_modality(z, z, z, True) == {"text": 1.0, "image": 1.0}
    assert kept_by_modality(z, z, z, False) == {"text": 1.0, "image": 1.0}
    broken = {**z, "image": rows(40, 5, 7)}
    kept = kept_by_modality(broken, z, z, True)
    assert kept["text"] == 1
    assert kept["image"] < 0.5


def test_a_sample_keeps_rows_together(monkeypatch):
    monkeypatch.setattr(keeping, "ROWS", 10)
    x = {"text": np.arange(50)[:, None], "image": np.arange(5)[:, None]}
    a, b = sample(x, {m: v * 2 for m, v in x.items()}, np.random.default_rng(0))
    assert {m: len(v) for m, v in a.items()} == {"text": 10, "image": 5}
    assert all(np.array_equal(2 * a[m], b[m]) for m in a)
