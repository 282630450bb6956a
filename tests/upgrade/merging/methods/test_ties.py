import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.methods.ties import Ties, agreed, smallest_kept


def naive(T, keep):
    """Number by number, as the paper describes it: T (k, n)."""
    kept = np.zeros_like(T)
    for i, row in enumerate(T):
        for j in np.argsort(-np.abs(row))[: max(1, round(keep * len(row)))]:
            kept[i, j] = row[j]
    out = np.zeros(T.shape[1])
    for j in range(T.shape[1]):
        sign = np.sign(kept[:, j].sum())
        agree = [v for v in kept[:, j] if v != 0 and np.sign(v) == sign]
        out[j] = np.mean(agree) if agree else 0
    return out


@pytest.mark.parametrize("keep", [0.1, 0.5, 1.0])
def test_it_is_what_a_naive_loop_over_all_numbers_gives(planted, keep):
    world = planted([[0], [0], [0]], k=3)
    vectors = world.vectors
    found = Ties(keep=keep, scale=0.7)(vectors, None, np.random.default_rng(0))
    T = np.stack(
        [np.concatenate([vectors.vector(t, b).numpy().ravel() for b in vectors.blocks]) for t in vectors.tasks]
    )
    got = np.concatenate([(found.block(b) - vectors.base(b)).numpy().ravel() for b in vectors.blocks])
    np.testing.assert_allclose(got, 0.7 * naive(T, keep), atol=1e-5)


def test_signs_are_elected_by_mass_not_by_number():
    rows = torch.tensor([[3.0], [-1.0], [-1.0]])
    assert agreed(rows, [0, 0, 0]) == 3


def test_a_tie_of_mass_leaves_the_base():
    assert agreed(torch.tensor([[1.0], [-1.0]]), [0, 0]) == 0


def test_the_limit_is_taken_over_the_whole_model(planted):
    vectors = planted([[0], [0]]).vectors
    sizes = torch.cat([vectors.vector("t0", b).abs().flatten() for b in vectors.blocks]).sort(descending=True).values
    assert smallest_kept(vectors, "t0", 10 / len(sizes)) == sizes[9]


@pytest.mark.parametrize("keep", [0, 1.5])
def test_a_share_out_of_range_is_refused(planted, keep):
    with pytest.raises(BadInput, match="keep"):
        Ties(keep=keep)(planted([[0], [0]]).vectors, None, np.random.default_rng(0))


def test_of_several_scales_the_probes_choose(planted):
    world = planted([[1.0], [1.0]])
    found = Ties(keep=1.0, scale=[0.5, 1.0, 2.0])(world.vectors, world.landscape, np.random.default_rng(0))
    assert found.scale == [0.5, 1.0, 2.0][int(np.argmin(found.losses))]
