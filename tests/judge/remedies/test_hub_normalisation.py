import numpy as np

from commonspace.core.vectors import unit
from commonspace.judge.findings.hubness import Hubness
from commonspace.judge.remedies.hub_normalisation import HubNormalisation
from commonspace.judge.treatment import treat
from commonspace.search.csls import CSLS


def test_scores_are_those_of_csls_with_a_bank_of_the_modality_that_asks(pairs):
    learn, test = pairs(common=2).halves(np.random.default_rng(0), most=1000)
    remedy = HubNormalisation(k=5).fit(learn, np.random.default_rng(0))
    q, g = test.vectors["text"], test.vectors["image"]
    a, b = remedy.meet("text", "image", q, g)
    known = CSLS(k=5).fit(unit(learn.vectors["text"]))
    np.testing.assert_allclose((a @ b.T)[3], known.score(unit(q)[3], unit(g)), atol=1e-5)


def test_hubs_lose_their_places_and_stored_vectors_stay(pairs):
    subject = pairs(common=4, noise=1.0, n=400)
    done = treat(subject, "hub-normalisation", [Hubness()], np.random.default_rng(0))
    across = [(b.score, a.score) for b, a in zip(done.before, done.after, strict=True) if "->" in b.about]
    assert all(after > before for before, after in across)
    assert HubNormalisation().fit(subject, np.random.default_rng(0)).apply(subject).vectors is subject.vectors
