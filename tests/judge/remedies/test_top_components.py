import numpy as np

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.remedies.top_components import TopComponents
from commonspace.judge.treatment import treat


def test_a_direction_that_drowns_the_others_is_taken_off_in_every_modality():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 10))
    loud = 8 * np.linalg.qr(rng.normal(size=(10, 10)))[0][0]
    vectors = {
        m: unit((z + rng.normal(size=(300, 1)) * loud + 0.4 * rng.normal(size=z.shape)).astype(np.float32))
        for m in "ab"
    }
    subject = Subject(vectors, things={m: np.arange(300) for m in "ab"})
    remedy = TopComponents(count=1).fit(subject, np.random.default_rng(0))
    assert abs(remedy.map_.top_[:, 0] @ unit(loud[None])[0]) > 0.98
    assert treat(subject, TopComponents(count=1), [], np.random.default_rng(0)).verdict == "helps"
