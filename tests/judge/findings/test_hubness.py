import numpy as np
import pytest
from claims.judge._worlds import planted
from sklearn.neighbors import NearestNeighbors

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.findings.hubness import STRONG, _as_cosine


def test_the_score_comes_from_the_skewness_of_who_is_found_how_often(look):
    x = unit(np.random.default_rng(0).normal(size=(200, 8)) + 0.7)
    near = NearestNeighbors(n_neighbors=11).fit(x).kneighbors(x, return_distance=False)[:, 1:]
    counts = np.bincount(near.ravel(), minlength=200).astype(float)
    skew = ((counts - counts.mean()) ** 3).mean() / counts.std() ** 3
    assert look("hubness", Subject({"a": x}))["a"].score == pytest.approx(1 / (1 + skew / STRONG), abs=0.01)


def test_the_hubs_shown_are_those_that_were_planted(look):
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(300, 16)) + 1.5
    gallery = rng.normal(size=(300, 16)) + 1.5
    gallery[[5, 77]] = 1.5  # nothing but what all have in common
    subject = Subject({"text": queries, "image": gallery}, names={"image": [f"image {i}" for i in range(300)]})
    found = look("hubness", subject)["text->image"]
    assert {c.caption for c in found.cases[:2]} == {"image 5", "image 77"}


def test_every_direction_is_looked_at(look):
    assert set(look("hubness", planted("hubness", 1))) == {"image", "text", "image->text", "text->image"}


def test_few_items_are_not_judged(look):
    assert look("hubness", Subject({"a": np.eye(20)})) == {}


def test_an_inner_product_ranks_as_the_cosine_of_the_longer_rows():
    rng = np.random.default_rng(0)
    q, g = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(9, 4)).astype(np.float32)
    cq, cg = _as_cosine(q, g)
    assert np.allclose(np.linalg.norm(cg, axis=1), np.linalg.norm(cg[0]), rtol=1e-5)
    assert np.array_equal(np.argsort(q @ g.T), np.argsort(unit(cq) @ unit(cg).T))
