import numpy as np

from commonspace.judge.drawing import histogram, scatter


def test_a_histogram_holds_every_finite_value_as_shares_over_common_edges():
    h = histogram("t", "x", {"a": np.array([0.0, 1, np.nan]), "b": np.array([2.0])}, marks={"limit": 3.0}, bins=6)
    assert (h.edges[0], h.edges[-1], len(h.edges)) == (0.0, 3.0, 7)
    assert [sum(c) for c in h.counts.values()] == [1 - 1 / 2 + 0.5, 1.0]
    assert h.marks == {"limit": 3.0}


def test_equal_values_still_have_a_width():
    h = histogram("t", "x", {"a": np.ones(5)})
    assert h.edges[-1] > h.edges[0]
    assert sum(h.counts["a"]) == 1


def test_a_scatter_shows_the_widest_directions_and_joins_partners():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 5)) * np.array([1, 20, 1, 9, 1])
    s = scatter("t", {"a": x, "b": x}, joined=4, rng=rng)
    assert s.points["a"] == s.points["b"]
    assert len(s.joined) == 4
    assert np.var(s.points["a"][0]) > np.var(s.points["a"][1]) > 40
    flat = scatter("t", {"a": np.array([[1.0], [2.0]])}, rng=rng)
    assert flat.points["a"][1] == [0.0, 0.0]
