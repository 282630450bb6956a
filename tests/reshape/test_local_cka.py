import numpy as np
import pytest

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.measure import linear_cka
from commonspace.reshape import local_cka


def data(k=9, n=6, m=7, dx=5, dy=4, seed=0):
    rng = np.random.default_rng(seed)
    s, new = rng.normal(size=(k, 3)), rng.normal(size=(max(n, m), 3))
    A, B = rng.normal(size=(3, dx)), rng.normal(size=(3, dy))
    return (new @ A + 1)[:n], (new @ B - 2)[:m], (s @ A + 1, s @ B - 2)


def test_scores_are_the_cka_of_the_anchors_and_one_more_pair():
    x, y, (a, b) = data()
    scores = local_cka(x, y, (a, b))
    for i in range(len(x)):
        for j in range(len(y)):
            # CKA does not see the origin, so neither may the added pair.
            want = linear_cka(np.vstack([a, x[i]]), np.vstack([b, y[j]]), debiased=False)
            assert scores[i, j] == pytest.approx(want, abs=1e-5)


def test_a_rotated_and_scaled_space_is_matched_by_four_anchors():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 6))
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    y = 3 * x @ turn + 8
    scores = local_cka(x[4:], y[4:], (x[:4], y[:4]))
    assert (scores.argmax(axis=1) == np.arange(36)).mean() > 0.8
    np.testing.assert_allclose(np.diag(scores), 1, atol=1e-6)


def test_no_rows_have_no_scores():
    x, y, anchors = data()
    assert local_cka(x[:0], y, anchors).shape == (0, 7)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x, y, p: local_cka(x, y, (p[0], p[1][:-1])), BadInput, "9 rows and Y 8"),
        (lambda x, y, p: local_cka(x, y, (p[0][:2], p[1][:2])), BadInput, "at least 3"),
        (lambda x, y, p: local_cka(x, y, (0 * p[0] + 1, p[1])), BadInput, "anchors of X"),
        (lambda x, y, p: local_cka(y, y, p), SpaceMismatch, "dimension 4"),
        (lambda x, y, p: local_cka(x * np.nan, y, p), BadInput, "NaN"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(*data())
