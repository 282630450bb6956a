import numpy as np
import pytest

torch = pytest.importorskip("torch")

from commonspace.compress.bigranular import BigranularCode, straight_through  # noqa: E402
from commonspace.core.errors import BadInput  # noqa: E402
from commonspace.core.vectors import unit  # noqa: E402


def world(n=600, dim=16, seed=0):
    """Vectors with one loud part that no query looks along, queries for single vectors, and the pairs."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, dim)).astype(np.float32)
    X[:, : dim // 2] *= 4
    Q = X + 0.3 * rng.normal(size=X.shape).astype(np.float32)
    Q[:, : dim // 2] = 0
    return unit(X), unit(Q), np.stack([np.arange(n), np.arange(n)], 1)


@pytest.fixture(scope="module")
def fitted():
    X, Q, pairs = world()
    return BigranularCode(parts=4, steps=10).fit_pairs(X, Q, pairs), X


def test_a_code_names_the_nearest_centroid_of_every_part(fitted):
    code, X = fitted
    codes = code.encode(X[:20])
    for i, x in enumerate(X[:20]):
        y = x.astype(float) @ code.rotation_.astype(float)
        for p in range(4):
            distances = [np.square(y[4 * p : 4 * p + 4] - c).sum() for c in code.books_[p]]
            assert codes[i, p] == np.argmin(distances)


def test_the_score_is_the_inner_product_with_the_centroids(fitted):
    code, X = fitted
    codes = code.encode(X)
    query = X[3] + 0.1
    rows = np.stack([np.concatenate([code.books_[p, c] for p, c in enumerate(row)]) for row in codes])
    np.testing.assert_array_equal(code.expand(codes), rows)
    np.testing.assert_allclose(code.score(query, codes), rows @ (query @ code.query_), atol=1e-4)


def test_without_queries_it_is_a_rotation_and_a_quantiser_that_halves_the_error_of_plain_parts():
    X = world()[0]
    code = BigranularCode(parts=4).fit(X)
    np.testing.assert_allclose(code.rotation_ @ code.rotation_.T, np.eye(16), atol=1e-5)
    np.testing.assert_array_equal(code.query_, code.rotation_)
    import faiss

    plain = faiss.ProductQuantizer(16, 4, 8)
    plain.cp.min_points_per_centroid = 1
    plain.train(X)
    ours = np.square(X @ code.rotation_ - code.expand(code.encode(X))).sum()
    assert ours < 1.02 * np.square(X - plain.decode(plain.compute_codes(X))).sum()


def test_training_finds_more_of_what_queries_look_for_at_the_same_bytes():
    X, Q, pairs = world()
    new = unit(X + np.random.default_rng(9).normal(size=X.shape).astype(np.float32) * 0.05)
    new[:, :8] = 0

    def found(code):
        scores = code.score(new, code.encode(X))
        return (scores.argmax(1) == np.arange(len(X))).mean()

    blind, trained = BigranularCode(parts=4).fit(X), BigranularCode(parts=4, steps=60, lr=5e-3).fit_pairs(X, Q, pairs)
    assert found(trained) > found(blind) + 0.05


def test_the_forward_pass_is_hard_and_the_gradient_is_soft():
    g = torch.Generator().manual_seed(0)
    books = torch.randn(2, 5, 3, generator=g, dtype=torch.float64).requires_grad_()
    y = torch.randn(4, 6, generator=g, dtype=torch.float64)
    weight = torch.randn(4, 6, generator=g, dtype=torch.float64)
    out = straight_through(y, books, 0.7)
    (out * weight).sum().backward()
    expected, rows = torch.zeros_like(books), []
    for i in range(4):
        for p in range(2):
            part, w = y[i, 3 * p : 3 * p + 3], weight[i, 3 * p : 3 * p + 3]
            C = books[p].detach().requires_grad_()
            soft = torch.softmax(-(part - C).square().sum(1) / 0.7, 0)
            nearest = (part - C).square().sum(1).argmin()
            rows.append(books[p, nearest].detach())
            hard = torch.eye(5, dtype=torch.float64)[nearest]
            # The centroids used are the hard one's; the assignment moves as the soft one does.
            (hard @ C @ w + soft @ C.detach() @ w).backward()
            expected[p] += C.grad
    torch.testing.assert_close(out.detach(), torch.stack(rows).view(4, 6))
    torch.testing.assert_close(books.grad, expected)


def test_the_same_seed_gives_the_same_code():
    X, Q, pairs = world()
    one, same, other = (BigranularCode(parts=4, steps=3, random_state=s).fit_pairs(X, Q, pairs) for s in (0, 0, 1))
    assert one.fingerprint == same.fingerprint
    assert not np.array_equal(one.books_, other.books_)


def test_fewer_vectors_than_centroids_are_each_their_own_centroid():
    X = world(60)[0]
    code = BigranularCode(parts=4).fit(X)
    np.testing.assert_allclose(code.expand(code.encode(X)), X @ code.rotation_, atol=1e-3)


@pytest.mark.parametrize("parts", [5, 0])
def test_parts_must_divide_the_dimension(parts):
    with pytest.raises(BadInput):
        BigranularCode(parts=parts).fit(world(300)[0])
