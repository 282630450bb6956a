import numpy as np
import pytest
from tests.upgrade import worlds

from commonspace.measure import evaluate_retrieval, metric
from commonspace.upgrade.crossfit import Folds
from commonspace.upgrade.measuring import Bench, Half
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import Probes, directions_of

NATIVE = {"keep": lambda b: (b.native("old"),), "re-embed": lambda b: (b.native("new"),)}


def bench_of(probes, k=10, spec="recall@10", seed=0):
    rng = np.random.default_rng(seed)
    found, _ = directions_of(probes, k, 10_000, rng)
    halves = {d.task: Half.of(probes, d, k, rng) for d in found}
    return Bench(probes, Folds.deal(probes, 4, rng), found, halves, metric(spec))


def repeated(n=120, dim=6, seed=0):
    """Things that occur in several rows, some of them equal to the last bit."""
    rng = np.random.default_rng(seed)
    things = {m: rng.integers(0, n // 3, n) for m in ("text", "image")}
    old, new = ({m: rng.normal(size=(n, d)) for m in things} for d in (dim, dim + 1))
    for side in (old, new):
        side["text"][::5] = side["text"][0]
    return Probes(Pairs(old, new), things)


@pytest.mark.parametrize("spec", ["recall@10", "mrr", "ndcg@5"])
def test_values_are_those_of_evaluate_retrieval(spec):
    probes = repeated()
    bench = bench_of(probes, spec=spec)
    assert {d.task for d in bench.directions} == {"text->text", "text->image", "image->text", "image->image"}
    whole, _ = bench.measure(NATIVE)
    for d in bench.directions:
        for name, side in (("keep", probes.items.old), ("re-embed", probes.items.new)):
            known = evaluate_retrieval(
                side[d.asks], side[d.searched], (probes.things[d.asks], probes.things[d.searched]), [spec],
                leave_one_out=d.asks == d.searched, resamples=1,
            )[spec]  # fmt: skip
            assert np.allclose(whole[d.task][name], known.per_query)


def test_in_half_of_the_gallery_all_that_is_right_is_still_there():
    probes = repeated()
    bench = bench_of(probes)
    whole, half = bench.measure(NATIVE)
    for d in bench.directions:
        hidden = bench.halves[d.task].hidden
        assert hidden.sum() == 60
        scores = probes.items.new[d.asks][d.rows] @ probes.items.new[d.searched].T
        right = probes.things[d.asks][d.rows][:, None] == probes.things[d.searched]
        itself = d.own[:, None] == np.arange(scores.shape[1])
        scores = np.where(itself | (hidden & ~right), -np.inf, scores)
        recall = metric("recall@10")(scores, right & ~itself)
        # equal rows tie only where they are scored as one, which a plain product does not promise
        assert np.allclose(half[d.task]["re-embed"], recall, atol=0.35)
        assert half[d.task]["re-embed"].mean() == pytest.approx(recall.mean(), abs=0.01)
        assert half[d.task]["re-embed"].mean() >= whole[d.task]["re-embed"].mean()


def test_without_labels_a_full_re_embed_keeps_all_in_both_galleries():
    probes = Probes(worlds.rotated(120).items)
    bench = bench_of(probes)
    whole, half = bench.measure(NATIVE)
    for d in bench.directions:
        assert whole[d.task]["re-embed"].tolist() == [1.0] * 120
        assert half[d.task]["re-embed"].tolist() == [1.0] * 120
        assert half[d.task]["keep"].mean() > whole[d.task]["keep"].mean()


def test_every_query_is_in_one_block_of_its_own_fold():
    bench = bench_of(worlds.rotated(90))
    for d in bench.directions:
        fold = bench.fold_of(d)
        seen = np.concatenate([b.some for b in bench.blocks(d)])
        assert sorted(seen) == list(range(len(d)))
        assert all((fold[b.some] == b.fold).all() for b in bench.blocks(d))
