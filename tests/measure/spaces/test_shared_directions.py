import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import shared_directions


def planted(n=400, shared=5, private=7, dx=20, dy=16, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    s = rng.normal(size=(n, shared))

    def side(d):
        own = rng.normal(size=(n, private))
        return np.hstack([s, own]) @ rng.normal(size=(shared + private, d)) + noise * rng.normal(size=(n, d)) + 2

    return side(dx), side(dy)


def test_planted_directions_are_counted():
    found = [shared_directions(*planted(seed=s), resamples=50).dimension for s in range(5)]
    assert all(d.low <= 5 <= d.high for d in found)
    assert np.mean([d.value for d in found]) == pytest.approx(5, abs=0.5)


def test_what_is_shared_beyond_doubt_is_shown_at_a_high_confidence_too():
    found = shared_directions(*planted(), confidence=0.99, resamples=20)
    assert found.shown
    assert found.dimension.low == 5


def test_the_value_of_the_dimension_is_too_large_in_about_one_of_twenty_samples_at_most():
    found = [shared_directions(*planted(150, 2, 4, 10, 8, seed=s), resamples=5, random_state=s) for s in range(50)]
    assert sum(f.dimension.value > 2 for f in found) <= 6
    assert sum(f.dimension.low > 2 for f in found) <= 4
    assert sum(f.dimension.value == 2 for f in found) >= 40


def test_unrelated_spaces_share_nothing_that_is_shown():
    rng = np.random.default_rng(1)
    found = [
        shared_directions(rng.normal(size=(60, 20)), rng.standard_t(3, size=(60, 15)), resamples=20, random_state=s)
        for s in range(40)
    ]
    assert sum(f.shown for f in found) <= 4  # one of forty is expected
    lucky = next(f for f in found if not f.dimension.value)
    assert lucky.inside_x is None
    assert "no shared direction is shown" in str(lucky)
    # Correlations on the rows that directions are fitted to would all be high; these are not.
    firsts = [f.correlations[0] for f in found]
    assert abs(np.mean([c.value for c in firsts])) < 0.1
    assert sum(c.low <= 0 <= c.high for c in firsts) >= 36


def test_few_rows_of_spaces_that_share_show_nothing_and_rule_nothing_out():
    x, y = planted(24, shared=2, private=30, dx=60, dy=60)
    found = shared_directions(x, y, resamples=20)
    assert not found.shown
    assert found.dimension.high >= 2


def test_shares_of_variance_are_those_that_were_planted():
    rng = np.random.default_rng(2)
    n, s = 4000, rng.normal(size=(4000, 2))
    # Of ten independent columns two are shared exactly; the others are private.
    x = np.hstack([s, rng.normal(size=(n, 8))])
    y = np.hstack([s + rng.normal(size=(n, 2)), rng.normal(size=(n, 6))])
    found = shared_directions(x, y, reg=0.001, random_state=1)
    assert found.dimension.value == 2
    assert found.inside_x.value == pytest.approx(0.2, abs=0.02)
    assert found.inside_y.value == pytest.approx(0.25, abs=0.02)
    # y's columns are half signal: each tells half of the variance of its partner.
    assert found.told_x.value == pytest.approx(0.1, abs=0.02)
    assert found.told_y.value == pytest.approx(0.125, abs=0.02)
    assert [c.value for c in found.correlations[:2]] == pytest.approx([np.sqrt(0.5)] * 2, abs=0.03)
    # The bases are the first two columns.
    assert np.linalg.norm(found.shared_x[:2]) == pytest.approx(np.sqrt(2), abs=0.02)
    np.testing.assert_allclose(found.shared_x.T @ found.shared_x, np.eye(2), atol=1e-8)


def test_intervals_of_the_first_correlation_and_the_shares_cover_their_means_over_samples():
    x, y = planted(3000, seed=7, noise=1.5)
    names = ("inside_x", "told_y")
    runs = []
    for s in range(40):
        rows = np.random.default_rng(s).choice(3000, 150, replace=False)
        runs.append(shared_directions(x[rows], y[rows], resamples=100, directions=10, random_state=s))
    first = [r.correlations[0] for r in runs]
    truth = np.mean([c.value for c in first])
    assert sum(c.low <= truth <= c.high for c in first) >= 36
    for name in names:
        shares = [getattr(r, name) for r in runs if r.dimension.value == 5]
        assert len(shares) >= 15
        truth = np.mean([e.value for e in shares])
        assert sum(e.low <= truth <= e.high for e in shares) >= 0.9 * len(shares)


def test_copies_of_rows_are_no_further_evidence_where_groups_say_so():
    x, y = planted(30, shared=1, private=20, dx=40, dy=40, seed=3)
    copies = [np.repeat(v, 6, axis=0) for v in (x, y)]
    groups = np.repeat(np.arange(30), 6)
    fooled = shared_directions(*copies, resamples=20)
    told = shared_directions(*copies, groups=groups, resamples=20)
    assert fooled.dimension.low > 5
    assert told.dimension.low <= 1
    wide, narrow = told.correlations[0], fooled.correlations[0]
    assert wide.high - wide.low > narrow.high - narrow.low


def test_turning_and_scaling_a_side_changes_little():
    x, y = planted()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(20, 20)))[0]
    one, other = (shared_directions(v, y, resamples=20) for v in (x, 9 * x @ turn))
    assert one.dimension.value == other.dimension.value
    assert one.correlations[0].value == pytest.approx(other.correlations[0].value, abs=0.05)


def test_a_seed_repeats_and_the_report_is_plain_data():
    x, y = planted(100)
    one, other = (shared_directions(x, y, resamples=50, random_state=3) for _ in range(2))
    assert one == other
    fewer = shared_directions(x, y, most=60, resamples=50)
    assert {c.n for c in (fewer.dimension, *fewer.correlations)} == {60}
    told = json.loads(json.dumps(one.to_dict()))
    assert told["dimension"]["n"] == 100
    assert told["shown"] is True
    assert "shared directions" in str(one)
    assert "told by the other side" in str(one)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x, y: shared_directions(x, y[:-1]), "same items"),
        (lambda x, y: shared_directions(x[:19], y[:19]), "at least 20"),
        (lambda x, y: shared_directions(x, y, groups=np.arange(60) % 5), "5 things"),
        (lambda x, y: shared_directions(x, y, folds=1), "1 folds"),
        (lambda x, y: shared_directions(x, y, directions=0), "directions"),
        (lambda x, y: shared_directions(x, y, least=1.0), "least"),
        (lambda x, y: shared_directions(x, y, most=10), "got 10 and 10"),
        (lambda x, y: shared_directions(x, y * 0), "variance"),
        (lambda x, y: shared_directions(x * np.nan, y), "NaN"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(BadInput, match=says):
        call(*planted(60))
