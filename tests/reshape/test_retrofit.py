from itertools import pairwise

import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFitted, SpaceMismatch
from commonspace.reshape import Retrofit
from commonspace.reshape.graph import read_graph


def data(n=60, d=5, edges=90, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(1, 2, (n, d)), rng.integers(0, n - 5, (edges, 2))  # the last five rows have no links


def naive(e, edges, fidelity, normalise):
    """The dense system, link by link."""
    n = len(e)
    w = np.zeros((n, n))
    for i, j in edges:
        if i != j:
            w[i, j] = w[j, i] = 1
    degree = w.sum(axis=1)
    own = np.where(degree > 0, fidelity * (degree if normalise else 1), 1)
    return np.linalg.solve(np.diag(own + degree) - w, own[:, None] * e)


@pytest.mark.parametrize("fidelity", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("normalise", [True, False])
def test_the_exact_solution_is_that_of_the_dense_system(fidelity, normalise):
    e, edges = data()
    got = Retrofit(fidelity=fidelity, normalise=normalise).fit(e, graph=edges).vectors_
    np.testing.assert_allclose(got, naive(e, edges, fidelity, normalise), atol=1e-5)


@pytest.mark.parametrize("normalise", [True, False])
def test_jacobi_sweeps_agree_with_the_exact_solution_to_1e_4(normalise):
    e, edges = data()
    exact = Retrofit(normalise=normalise).fit(e, graph=edges).vectors_
    few, many = (Retrofit(normalise=normalise, solver="jacobi", sweeps=s).fit(e, graph=edges).vectors_ for s in (2, 60))
    assert np.abs(few - exact).max() > 1e-2
    np.testing.assert_allclose(many, exact, atol=1e-4)


def test_a_sweep_is_the_usual_update_with_one_over_the_degree():
    e, edges = data()
    w = read_graph(edges, 60).toarray()
    degree = w.sum(axis=1)
    want = e.copy()
    for _ in range(3):
        mean = w @ want / np.maximum(degree, 1)[:, None]
        want = np.where(degree[:, None] > 0, (e + mean) / 2, e)
    got = Retrofit(solver="jacobi", sweeps=3).fit(e, graph=edges).vectors_
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_fourteen_sweeps_reach_what_the_docs_say():
    e, edges = data(300, 8, 900)
    scale = np.abs(e).max()
    exact = Retrofit().fit(e, graph=edges).vectors_
    swept = Retrofit(solver="jacobi", sweeps=14).fit(e, graph=edges).vectors_
    assert np.abs(swept - exact).max() / scale < 1e-4


def test_rows_without_links_stay_and_linked_ones_come_together():
    e, edges = data()
    m = Retrofit().fit(e, graph=edges)
    np.testing.assert_array_equal(m.vectors_[-5:], e[-5:].astype(np.float32))
    assert not m.linked_[-5:].any()

    def apart(q):
        return np.square(q[edges[:, 0]] - q[edges[:, 1]]).sum()

    distances = [apart(Retrofit(fidelity=f).fit(e, graph=edges).vectors_) for f in (0.1, 1, 10, 1000)]
    assert distances == sorted(distances)
    assert distances[-1] < apart(e)
    np.testing.assert_allclose(Retrofit(fidelity=1e6).fit(e, graph=edges).vectors_, e, atol=1e-4)


def test_weights_of_relations_say_whose_links_pull():
    e = data()[0][:4]
    graph = {"near": [[0, 1]], "far": [[2, 3]]}
    m = Retrofit(weights={"far": 0.0}).fit(e, graph=graph)
    np.testing.assert_array_equal(m.vectors_[2:], e[2:].astype(np.float32))
    # Two rows with one link and fidelity 1: a third of the way to each other.
    np.testing.assert_allclose(m.vectors_[0], (2 * e[0] + e[1]) / 3, atol=1e-5)


def whole(q, e, m, edges, apart):
    """What repulsion minimises, term by term."""
    w = read_graph(edges, len(e)).toarray()
    degree = w.sum(axis=1)
    own = np.where(degree > 0, m.fidelity * degree, 1)
    pull = 0.5 * (w * np.square(q[:, None] - q[None]).sum(axis=2)).sum()
    margin = m.margin * np.sqrt(2 * e.var(axis=0).sum())
    push = sum(max(0.0, margin - np.linalg.norm(q[i] - q[j])) ** 2 for i, j in apart)
    return (own * np.square(q - e).sum(axis=1)).sum() + pull + m.repulsion * push


@pytest.mark.parametrize("solver", ["exact", "jacobi"])
def test_repulsion_parts_what_must_stay_apart_and_lowers_its_objective_each_round(solver, monkeypatch):
    e, edges = data()
    apart = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [58, 59]])
    edges = np.concatenate([edges, apart[:4]])  # links that pull the same rows together
    plain = Retrofit(solver=solver).fit(e, graph=edges).vectors_
    values, lengths = [], []
    for rounds in (1, 2, 4, 8, 16, 32):
        monkeypatch.setattr("commonspace.reshape.retrofit.ROUNDS", rounds)
        m = Retrofit(repulsion=4.0, margin=1.0, solver=solver, sweeps=60).fit(e, graph=edges, apart=apart)
        values.append(whole(m.vectors_.astype(float), e, m, edges, apart))
        lengths.append(np.linalg.norm(m.vectors_[apart[:, 0]] - m.vectors_[apart[:, 1]], axis=1))
    assert all(b <= a + 1e-4 for a, b in pairwise(values))
    assert values[0] < whole(plain.astype(float), e, m, edges, apart)
    assert (lengths[-1] >= np.linalg.norm(plain[apart[:, 0]] - plain[apart[:, 1]], axis=1) - 1e-4).all()


def test_the_rounds_of_repulsion_end_where_a_general_optimiser_does():
    from scipy.optimize import minimize

    e, edges = data(8, 2, 10)
    apart = np.array([[0, 1], [2, 5]])
    m = Retrofit(repulsion=2.0, margin=1.5).fit(e, graph=edges, apart=apart)
    got = whole(m.vectors_.astype(float), e, m, edges, apart)
    found = minimize(lambda q: whole(q.reshape(e.shape), e, m, edges, apart), m.vectors_.ravel(), tol=1e-10)
    assert got == pytest.approx(found.fun, rel=1e-2)


def test_pairs_that_are_far_enough_apart_feel_nothing():
    e, edges = data()
    apart = np.array([[56, 57]])
    e[57] = e[56] + 100
    plain, pushed = (Retrofit(repulsion=r, margin=0.1).fit(e, graph=edges, apart=apart).vectors_ for r in (0, 5))
    np.testing.assert_allclose(plain, pushed, atol=1e-4)


def test_new_rows_move_as_the_linked_ones_did_where_vectors_tell_how():
    rng = np.random.default_rng(3)
    of = rng.integers(0, 4, 400)
    centres = 3 * rng.normal(size=(4, 6))
    e = centres[of] + rng.normal(size=(400, 6))
    train = np.arange(400) < 200
    edges = np.array([rng.choice(np.flatnonzero(train & (of == of[i])), 2) for i in np.flatnonzero(train)])
    m = Retrofit(fidelity=0.2).fit(e[train], graph=np.searchsorted(np.flatnonzero(train), edges))
    new = m.transform(e[~train])

    def inside(x):
        return sum(np.square(x[of[~train] == c] - x[of[~train] == c].mean(axis=0)).sum() for c in range(4))

    assert inside(new) < 0.5 * inside(e[~train])
    np.testing.assert_array_equal(new, m.transform_target(e[~train]))


def test_new_rows_stay_about_where_they_are_where_links_are_random():
    rng = np.random.default_rng(4)
    e = rng.normal(size=(500, 5)) @ np.diag([3, 2, 1, 1, 1]) + 7
    m = Retrofit(fidelity=2.0).fit(e, graph=rng.integers(0, 500, (2000, 2)))
    new = rng.normal(size=(50, 5)) @ np.diag([3, 2, 1, 1, 1]) + 7
    centred = new - e.mean(axis=0)
    moved = m.transform(new) - e.mean(axis=0)
    # Random neighbours pull towards the mean, whatever the direction.
    cosines = (centred * moved).sum(axis=1) / np.linalg.norm(centred, axis=1) / np.linalg.norm(moved, axis=1)
    assert cosines.mean() > 0.97


def test_a_fitted_map_survives_its_plain_state_and_takes_half_precision():
    e, edges = data()
    m = Retrofit(weights=None).fit(e.astype(np.float16), graph=edges)
    again = Retrofit().load_state(*m.split_state())
    np.testing.assert_array_equal(again.transform(e), m.transform(e))
    assert m.vectors_.dtype == m.transform(e).dtype == np.float32
    assert m.transform(e[:0]).shape == (0, 5)


def test_equal_rows_stay_where_they_are_and_may_be_told_to_part():
    e = np.ones((6, 3))
    m = Retrofit(repulsion=1.0).fit(e, graph=[[0, 1], [1, 2]], apart=[[0, 2]])
    np.testing.assert_allclose(m.vectors_, e, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda e, g: Retrofit().fit(e), BadInput, "graph=edges"),
        (lambda e, g: Retrofit().fit(e, graph=[]), BadInput, "no two rows"),
        (lambda e, g: Retrofit(fidelity=0).fit(e, graph=g), BadInput, "fidelity"),
        (lambda e, g: Retrofit(repulsion=-1).fit(e, graph=g), BadInput, "repulsion"),
        (lambda e, g: Retrofit(margin=np.nan).fit(e, graph=g), BadInput, "margin"),
        (lambda e, g: Retrofit(solver="lu").fit(e, graph=g), BadInput, "solver"),
        (lambda e, g: Retrofit(sweeps=0).fit(e, graph=g), BadInput, "sweeps"),
        (lambda e, g: Retrofit().fit(e * np.nan, graph=g), BadInput, "NaN"),
        (lambda e, g: Retrofit().fit(e[:10], graph=g), BadInput, "rows 0 to 9"),
        (lambda e, g: Retrofit(weights={"a": 1}).fit(e, graph=g), BadInput, "relations"),
        (lambda e, g: Retrofit().transform(e), NotFitted, "fit"),
        (lambda e, g: Retrofit().fit(e, graph=g).transform(e[:, :2]), SpaceMismatch, "dimension 2"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call(*data())


def test_one_fidelity_for_every_row_is_also_that_of_rows_which_are_only_kept_apart():
    X = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    f, e = 3.0, X.astype(np.float64)
    options = {"normalise": False, "fidelity": f, "repulsion": 1.0, "margin": 2.0}
    m = Retrofit(**options).fit(X, graph=np.array([[0, 1]]), apart=np.array([[10, 11]]))
    # Two rows alone: f (q - e) = margin - |q_10 - q_11| along the line between them, for each.
    margin, apart = 2.0 * np.sqrt(2 * e.var(axis=0).sum()), np.linalg.norm(e[10] - e[11])
    length = (f * apart + 2 * margin) / (f + 2)
    found = m.vectors_[10].astype(np.float64) - m.vectors_[11]
    np.testing.assert_allclose(found, (e[10] - e[11]) / apart * length, rtol=1e-4)
    np.testing.assert_array_equal(m.vectors_[2], X[2])
