import numpy as np

from commonspace.judge.remedies.centring import Centring
from commonspace.judge.treatment import treat


def test_every_modality_loses_the_mean_of_the_half_that_was_learned_from(pairs):
    learn, test = pairs(gap=2).halves(np.random.default_rng(0), most=1000)
    remedy = Centring().fit(learn, np.random.default_rng(0))
    for m, x in test.vectors.items():
        np.testing.assert_allclose(remedy.transform(x, m), x - learn.vectors[m].mean(axis=0), atol=1e-5)


def test_a_planted_gap_is_closed_and_retrieval_is_better_for_it(pairs):
    from commonspace.judge.findings.gap import Gap

    done = treat(pairs(gap=2, common=2), "centring", [Gap()], np.random.default_rng(0))
    assert done.verdict == "helps"
    assert done.before[0].score < 0.5 < done.after[0].score
