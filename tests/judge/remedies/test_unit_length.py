import numpy as np

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.findings.norms import Norms
from commonspace.judge.remedies.unit_length import UnitLength
from commonspace.judge.treatment import treat


def test_it_is_compared_with_the_inner_product_of_the_rows_as_they_are():
    rng = np.random.default_rng(0)
    q, g = rng.normal(size=(4, 5)).astype(np.float32), rng.normal(size=(6, 5)).astype(np.float32)
    before, after = UnitLength().without("a", "b", q, g), UnitLength().meet("a", "b", q, g)
    assert np.array_equal(before[0] @ before[1].T, q @ g.T)
    np.testing.assert_allclose(after[0] @ after[1].T, unit(q) @ unit(g).T, atol=1e-6)


def test_lengths_that_say_nothing_are_taken_off_and_rows_without_a_direction_left_out():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 12))
    vectors = {m: (z + 0.3 * rng.normal(size=z.shape)) * rng.lognormal(sigma=0.8, size=(300, 1)) for m in "ab"}
    vectors["a"][:5] = np.nan
    vectors["b"][7] = 0
    subject = Subject(vectors, things={m: np.arange(300) for m in "ab"})
    done = treat(subject, "unit-length", [Norms()], rng)
    assert done.verdict == "helps"
    assert all(f.flag for f in done.before)
    assert not any(f.flag for f in done.after)
    assert {m: len(x) for m, x in UnitLength().apply(subject).vectors.items()} == {"a": 295, "b": 299}
