import numpy as np

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.remedies.whitening import Whitening
from commonspace.judge.treatment import treat
from commonspace.reshape.whitening import Whitening as WhiteningMap


def test_two_modalities_are_whitened_as_the_map_whitens_two_sides(pairs):
    subject = pairs(gap=1, common=1)
    x, y = subject.vectors["image"], subject.vectors["text"]
    remedy = Whitening(shrinkage=0.2).fit(subject, np.random.default_rng(0))
    known = WhiteningMap(shrinkage=0.2).fit(x, y)
    np.testing.assert_allclose(remedy.transform(x, "image"), known.transform(x), atol=1e-3)
    np.testing.assert_allclose(remedy.transform(y, "text"), known.transform_target(y), atol=1e-3)


def test_it_helps_where_loud_directions_say_nothing_and_hurts_where_the_quiet_ones_are_noise():
    rng = np.random.default_rng(0)
    z, n = rng.normal(size=(300, 12)), 300
    loud = np.r_[6 * np.ones(3), np.ones(9)]
    # Both sides share the quiet directions; the loud ones are each side's own.
    useful = {m: np.hstack([rng.normal(size=(n, 3)), z[:, 3:] + 0.3 * rng.normal(size=(n, 9))]) * loud for m in "ab"}
    noise = {m: np.hstack([z[:, :3], rng.normal(size=(n, 9))]) * loud for m in "ab"}
    things = {m: np.arange(n) for m in "ab"}
    for vectors, verdict in ((useful, "helps"), (noise, "hurts")):
        subject = Subject({m: unit(x.astype(np.float32)) for m, x in vectors.items()}, things=things)
        assert treat(subject, "whitening", [], np.random.default_rng(0)).verdict == verdict
