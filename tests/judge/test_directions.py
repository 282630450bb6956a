"""What one modality finds in another, against plain loops."""

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.judge.directions import Direction, Side, directions_of
from commonspace.measure import evaluate_retrieval


def sides(n=60, dim=8, noise=0.6, seed=0, things=40):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, things, n)
    truth = rng.normal(size=(things, dim))
    x, y = (unit(truth[labels] + noise * rng.normal(size=(n, dim))).astype(np.float32) for _ in range(2))
    words = [f"word {i}" for i in labels]
    return {
        "text": Side(x, labels, "text", words, classes=labels % 3),
        "image": Side(y, labels, "image", [np.full((4, 4), i % 256, np.uint8) for i in range(n)], words),
    }


@pytest.fixture
def direction():
    return directions_of(sides())[0]


def test_every_modality_asks_every_other():
    assert [d.task for d in directions_of(sides())] == ["text->image", "image->text"]


def test_figures_are_those_of_the_metrics_and_things_are_drawn_together(direction):
    q, g = direction.queries, direction.gallery
    plain = evaluate_retrieval(q.vectors, g.vectors, (q.labels, g.labels), ["hit@1", "mrr"], groups=q.labels)
    assert direction.measure(["hit@1", "mrr"]) == plain


def test_chance_is_the_mean_over_random_orders(direction):
    rng = np.random.default_rng(0)
    draws = [direction.of_scores(rng.random((60, 60)), ["hit@5", "mrr"]) for _ in range(200)]
    chance = direction.chance(["hit@5", "mrr"])
    for m in chance:
        seen = np.array([d[m].value for d in draws])
        assert abs(chance[m].value - seen.mean()) < 4 * seen.std() / np.sqrt(200)


def test_answers_are_those_of_a_plain_loop(direction):
    scores = direction.queries.vectors @ direction.gallery.vectors.T
    there = direction.gallery.labels
    for place, row in enumerate(direction.judged):
        order = np.argsort(-scores[row], kind="stable")
        right = there[order] == direction.queries.labels[row]
        assert list(direction.answers.rows[place]) == list(order)
        assert list(direction.answers.right[place]) == list(right)
        assert direction.answers.best[place] == order[right.argmax()]
        assert direction.first[place] == 1 + right.argmax()


def test_queries_without_a_right_answer_do_not_count():
    given = sides()
    labels = given["text"].labels.copy()
    labels[:5] = 1000
    found = Direction("text", "image", Side(given["text"].vectors, labels), given["image"])
    assert len(found.judged) == len(found.first) == len(found.answers.rows) == 55
    assert 0 not in found.judged


def test_an_index_that_answers_with_all_in_order_has_the_figures_of_exact_search(direction):
    scores = direction.queries.vectors @ direction.gallery.vectors.T
    whole = Direction("text", "image", direction.queries, direction.gallery, np.argsort(-scores, axis=1)[:, :20])
    exact, index = whole.measure(["hit@1", "ndcg@10"]), whole.of_found(["hit@1", "ndcg@10", "mrr", "hit@50"])
    assert set(index) == {"hit@1", "ndcg@10"}  # the others need more answers than there are
    assert {m: e.value for m, e in index.items()} == pytest.approx({m: exact[m].value for m in index})


def test_what_an_index_misses_is_missed(direction):
    empty = Direction("text", "image", direction.queries, direction.gallery, np.full((60, 20), -1))
    scores = direction.queries.vectors @ direction.gallery.vectors.T
    best = np.argsort(-scores, axis=1)[:, :20]
    best[:30] = -1
    half = Direction("text", "image", direction.queries, direction.gallery, best)
    chance, exact = direction.chance(["hit@1"])["hit@1"], direction.measure(["hit@1"])["hit@1"]
    assert empty.of_found(["hit@1"])["hit@1"].value == pytest.approx(chance.value)
    assert half.of_found(["hit@1"])["hit@1"].per_query[30:] == pytest.approx(exact.per_query[30:])


def test_a_query_is_shown_with_its_answers_and_the_right_one_if_it_is_further_down(direction):
    worst, best = int(direction.first.argmax()), int(direction.first.argmin())
    failed, found = direction.case(worst, 3), direction.case(best, 3)
    assert len(failed.answers) == 4
    assert failed.answers[3].right
    assert f"{direction.first[worst]:.0f}" in failed.note
    assert [a.right for a in failed.answers[:3]] == [False] * 3
    assert found.answers[0].right
    assert len(found.answers) == 3
    assert failed.kind == "text"
    assert failed.answers[0].kind == "image"
    assert failed.answers[0].caption.startswith("word ")


def test_scores_may_be_made_of_other_vectors_than_the_stored_ones():
    def lean_on(asks, searched, x, y):
        return np.hstack([x, np.ones((len(x), 1), np.float32)]), np.hstack([y, np.arange(len(y))[:, None] * 9.0])

    turned = directions_of(sides(), lean_on)[0]
    assert set(turned.answers.rows[:, 0]) == {59}


def test_what_does_not_fit_together_is_refused():
    given = sides()
    with pytest.raises(BadInput, match="hold 3 rows"):
        Side(given["text"].vectors, np.arange(3))
    with pytest.raises(BadInput, match="a row for each"):
        Direction("a", "b", given["text"], given["image"], np.zeros((3, 3), np.int64))
    with pytest.raises(BadInput, match="no query"):
        directions_of({"a": given["text"], "b": Side(given["image"].vectors, given["image"].labels + 1000)})
