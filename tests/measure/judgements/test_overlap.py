import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.core.errors import BadInput
from commonspace.measure import compare, jaccard, overlap, rbo
from commonspace.measure.judgements.overlap import between

LISTS = st.lists(st.integers(0, 14), unique=True, max_size=12)


def by_definition(a, b, p, depth):
    """The sum itself, up to a depth, for rankings that end where they end."""
    shares = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, depth + 1)]
    return (1 - p) * sum(p ** (d - 1) * share for d, share in enumerate(shares, start=1))


def extrapolated(a, b, p, depth):
    """The sum with the agreement that the unseen is taken to have, depth by depth, as equations 31 and 32 have it."""
    short, long = sorted((a, b), key=len)
    s, t = len(short), len(long)
    if not s:
        return 0.0
    shares = []
    for d in range(1, depth + 1):
        known = len(set(short[:d]) & set(long[:d]))
        x_s = len(set(short) & set(long[:s]))
        if d <= s:
            share = known / d
        elif d <= t:
            share = (known + x_s * (d - s) / s) / d
        else:
            share = shares[t - 1]
        shares.append(share)
    return (1 - p) * sum(p ** (d - 1) * share for d, share in enumerate(shares, start=1))


def test_two_short_rankings_worked_by_hand():
    # a b c and b a d, p = 1/2: X = 0, 2, 2; A = 0, 1, 2/3. The sum: 1/2 (0 + 1/2 + 1/4 2/3) = 1/3, then 2/3 for ever,
    # with a weight of 1/8: 1/3 + 1/12 = 5/12. At least 2/d beyond: 2 (ln 2 - 1/2 - 1/8 - 1/24) = 2 ln 2 - 4/3, at most
    # all of ranks 4 and on: c and d may each be 4th, so X_4 = 4.
    found = rbo(["a", "b", "c"], ["b", "a", "d"], p=0.5)
    assert found.value == pytest.approx(5 / 12)
    assert found.low == pytest.approx(1 / 3 + 2 * np.log(2) - 4 / 3)
    assert found.high == pytest.approx(1 / 3 + 1 / 8)
    assert found.residual == found.high - found.low
    assert str(found).startswith("0.417, between 0.386 and 0.458")
    assert set(found.to_dict()) == {"value", "low", "high", "p"}


def test_the_share_of_the_weight_of_the_first_ranks_is_that_of_the_paper():
    # Identical for 10 ranks and nothing known beyond: the smallest value is the weight of these ranks.
    for p, k, want in ((0.9, 10, 0.8556), (0.98, 50, 0.8522)):
        seen = by_definition(list(range(k)), list(range(k)), p, k)
        assert seen < rbo(range(k), range(k), p=p).low == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("p", [0.3, 0.9, 0.99])
def test_identical_and_disjoint_rankings_have_closed_forms(n, p):
    same, other = rbo(range(n), range(n), p=p), rbo(range(n), range(n, 2 * n), p=p)
    assert (same.value, same.high) == (pytest.approx(1), pytest.approx(1))
    assert (other.value, other.low) == (0, 0)
    d = np.arange(n + 1, 2 * n + 1)
    most = (1 - p) / p * (2 * (d - n) / d * p**d).sum() + p ** (2 * n)  # X grows by two a rank until all are found
    assert other.high == pytest.approx(most)


@given(LISTS, LISTS, st.sampled_from([0.2, 0.5, 0.8]))
def test_all_three_values_equal_the_sums_that_define_them(a, b, p):
    found = rbo(a, b, p=p)
    assert found.value == pytest.approx(extrapolated(a, b, p, 120), abs=1e-9)
    assert found.low == pytest.approx(by_definition(a, b, p, 120), abs=1e-9)
    assert found.high == pytest.approx(by_definition(*completed(a, b), p, 120) if a or b else 1, abs=1e-9)
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9 or not a or not b


def completed(a, b):
    """Both rankings with unseen parts that agree as much as they can."""
    short, long = sorted((list(a), list(b)), key=len)
    new = iter(range(1000, 9000))
    lacking = [i for i in long if i not in short]
    while len(short) < len(long):
        # What the longer one has shown by now and the shorter one lacks; an early one is found sooner by both.
        short.append(lacking.pop(0) if lacking else next(new))
    # Now both grow: each takes what the other has shown and it lacks, then new ids in common.
    for _ in range(30):
        from_long = [i for i in long if i not in short]
        from_short = [i for i in short if i not in long]
        short, long = (
            [*short, from_long[0] if from_long else f"x{len(short)}"],
            [*long, from_short[0] if from_short else f"x{len(long)}"],
        )
    common = [f"y{i}" for i in range(120)]
    return short + common, long + common


@given(LISTS, LISTS)
def test_order_of_the_two_and_names_of_ids_do_not_matter(a, b):
    assert rbo(a, b) == rbo(b, a) == rbo([f"id{i}" for i in a], [f"id{i}" for i in b])


@given(st.lists(LISTS, min_size=1, max_size=6))
def test_the_table_of_many_equals_one_pair_at_a_time(rankings):
    want = [[rbo(a, b, p=0.8).value for b in rankings] for a in rankings]
    np.testing.assert_allclose(between(rankings, p=0.8), want, atol=1e-12)
    want = [[jaccard(a, b) for b in rankings] for a in rankings]
    np.testing.assert_allclose(between(rankings, "jaccard"), want, atol=1e-12)


def test_jaccard_counts_shared_ids_among_the_first():
    assert jaccard(list("abcd"), list("bx")) == pytest.approx(1 / 5)
    assert jaccard(list("abcd"), list("bx"), k=1) == 0
    assert jaccard([], []) == 0


def test_rankings_may_be_scores():
    assert rbo({"x": 0.1, "y": 0.9}, ["y", "x"]).value == pytest.approx(1)


def test_the_overlap_of_two_runs_has_an_interval_over_queries():
    rng = np.random.default_rng(0)
    a = {q: rng.permutation(50)[:20] for q in range(30)}
    b = {q: [*a[q][:10], *rng.permutation(np.arange(100))[:10] + 50] for q in range(30)}
    b[0] = b[0][1:]
    found = overlap(a, b, p=0.8)
    assert found.n == 30
    assert found.value == pytest.approx(np.mean([rbo(a[q], b[q], p=0.8).value for q in a]))
    assert found.low <= found.value <= found.high
    assert overlap(a, a).low > 0.85  # thirty times alike do not prove that all are
    assert overlap(a, b, similarity="jaccard", depth=10).value == pytest.approx((29 + 9 / 11) / 30)
    assert overlap(a, b, similarity="jaccard", depth=20).metric == "jaccard@20"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rbo([1], [1], p=1), "p must lie"),
        (lambda: rbo([1, 1], [1]), "twice"),
        (lambda: jaccard([1], [1], k=0), "k must be"),
        (lambda: overlap([[1]], [[1]], similarity="cosine"), "similarity must be"),
        (lambda: overlap([[1]], [[1], [2]]), "query 1 of the run 'b' is not in 'a'"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call()


def test_overlaps_know_their_queries_so_that_a_comparison_pairs_them():
    rng = np.random.default_rng(0)
    base = {f"q{i}": list(rng.permutation(10)) for i in range(12)}
    near = {q: r[1:] + r[:1] for q, r in base.items()}
    far = {q: r[::-1] for q, r in base.items()}
    turned = dict(reversed(base.items()))
    found = overlap(base, near)
    assert found.ids == tuple(base)
    assert compare(found, overlap(turned, far)).to_dict() == compare(found, overlap(base, far)).to_dict()
