import numpy as np
import pytest
from scipy import sparse

from commonspace.core.errors import BadInput, NotFound
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import LEAST, Probes, directions_of


def pairs(n=30, seed=0, names=("text", "image"), dims=(4, 6)):
    rng = np.random.default_rng(seed)
    return Pairs(*({m: rng.normal(size=(n, d)) for m in names} for d in dims))


def directions(probes, k=10, most=1000, seed=0):
    return directions_of(probes, k, most, np.random.default_rng(seed))


def answers_of(direction):
    query, item, _ = direction.answers(np.arange(len(direction)))
    return {int(r): set(item[query == i].tolist()) for i, r in enumerate(direction.rows)}


def test_items_ask_each_other_and_themselves_where_things_occur_twice():
    things = {"text": np.arange(30), "image": np.arange(30) // 2}
    found, left_out = directions(Probes(pairs(), things))
    by_task = {d.task: d for d in found}
    assert set(by_task) == {"text->image", "image->text", "image->image"}
    assert "text->text" in left_out
    assert answers_of(by_task["image->image"])[4] == {5}  # 4 and 5 show the same thing, and none is its own answer
    assert answers_of(by_task["text->image"])[2] == {4, 5}
    assert set(answers_of(by_task["text->image"])) == set(range(15))  # the others have no answer
    assert (by_task["image->image"].groups == np.arange(30) // 2).all()
    assert by_task["image->image"].labelled


def test_queries_ask_items_and_nothing_else():
    asking = pairs(20, 1, ("query",))
    probes = Probes(pairs(), {"text": np.arange(30)}, asking, {"query": np.arange(20)})
    found, left_out = directions(probes)
    assert [d.task for d in found] == ["query->text"]
    assert left_out == {"query->image": "it is not known what is right"}
    assert (found[0].own == -1).all()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_relevance_comes_before_labels(form):
    judged = np.zeros((20, 30))
    judged[np.arange(20), (np.arange(20) * 7) % 30] = 2
    asking = pairs(20, 1, ("query",))
    probes = Probes(
        pairs(), {"text": np.arange(30)}, asking, {"query": np.arange(20)}, relevance={"query->text": form(judged)}
    )
    found, _ = directions(probes)
    assert answers_of(found[0]) == {i: {(i * 7) % 30} for i in range(20)}
    assert found[0].answers(np.array([3]))[2].tolist() == [2.0]


@pytest.mark.parametrize("apart", [True, False])
def test_without_labels_what_a_full_re_embed_finds_is_right(apart):
    items = pairs(40)
    asking = pairs(25, 1) if apart else None
    found, _ = directions(Probes(items, queries=asking), k=5)
    assert {d.task for d in found} == {"text->text", "text->image", "image->text", "image->image"}
    for d in found:
        assert not d.labelled
        scores = (asking or items).new[d.asks] @ items.new[d.searched].T
        if not apart and d.asks == d.searched:
            np.fill_diagonal(scores, -np.inf)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :5]
        assert answers_of(d) == {i: set(best[i].tolist()) for i in range(len(scores))}


def test_a_row_behind_many_twins_is_still_not_its_own_answer():
    vectors = {"text": np.ones((15, 3))}
    found, _ = directions(Probes(Pairs(vectors, vectors)), k=4)
    assert all(len(a) == 4 and i not in a for i, a in answers_of(found[0]).items())


def test_labels_without_an_answer_fall_back_to_neighbours():
    found, _ = directions(Probes(pairs(names=("text",)), {"text": np.arange(30)}))
    assert [d.task for d in found] == ["text->text"]
    assert not found[0].labelled


def test_of_too_many_queries_some_of_most_things_are_drawn():
    things = {m: np.arange(400) // 20 for m in ("text", "image")}
    found, _ = directions(Probes(pairs(400), things), most=100)
    for d in found:
        assert len(d) == 100
        assert len(np.unique(d.groups)) > 15  # whole things would be 5, and their intervals worth nothing
        assert (d.groups == things[d.asks][d.rows]).all()


def test_a_draw_of_too_few_things_is_not_measured():
    things = {m: np.arange(120) // 10 for m in ("text", "image")}
    with pytest.raises(BadInput, match="different things ask among most=5 queries"):
        directions(Probes(pairs(120), things), most=5)


def test_too_few_probes_are_refused_with_the_number_that_is_needed():
    with pytest.raises(BadInput, match=rf"at least {LEAST} must"):
        directions(Probes(pairs(5), {m: np.arange(5) for m in ("text", "image")}))


def test_only_directions_that_count_are_measured():
    probes = Probes(pairs(), {m: np.arange(30) for m in ("text", "image")})
    found, left_out = directions_of(probes, 10, 1000, np.random.default_rng(0), ["image->text"])
    assert [d.task for d in found] == ["image->text"]
    assert left_out["text->image"] == "it was not asked for"
    with pytest.raises(NotFound, match="text->image"):
        directions_of(probes, 10, 1000, np.random.default_rng(0), ["text->sound"])


def test_a_row_without_a_label_is_a_thing_of_its_own():
    labels = [None if i % 3 == 0 else i // 2 for i in range(30)]
    numbers = [np.nan if label is None else float(label) for label in labels]
    for column in (np.array(labels, object), np.array(numbers)):
        probes = Probes(pairs(names=("text",)), {"text": column})
        codes = probes.codes[0]["text"]
        for i in range(30):
            alike = {j for j in range(30) if codes[j] == codes[i]}
            wanted = {j for j in range(30) if labels[j] == labels[i]} if labels[i] is not None else {i}
            assert alike == wanted
        assert codes.max() == len(set(codes)) - 1


def test_a_column_of_numbers_with_gaps_has_the_labels_of_one_without():
    numbers = np.arange(30.0)
    numbers[4] = np.nan
    for column in (numbers, numbers.astype(object), [str(i) if i != 4 else None for i in range(30)]):
        found, _ = directions(Probes(pairs(), {"text": column, "image": np.arange(30)}))
        assert [d.labelled for d in found] == [True, True]
        assert {len(d) for d in found} == {29}


def test_a_list_of_names_may_have_gaps():
    names = [f"t{i // 2}" for i in range(30)]
    names[3] = names[4] = float("nan")
    codes = Probes(pairs(names=("text",)), {"text": names}).codes[0]["text"]
    assert len(set(codes)) == 15 + 2
    assert codes[3] != codes[4]
    dates = np.array(["2020-01-01", "NaT", "NaT"] + ["2020-01-01"] * 27, "datetime64[D]")
    codes = Probes(pairs(names=("text",)), {"text": dates}).codes[0]["text"]
    assert codes[0] == codes[5]
    assert len(set(codes)) == 3


def test_a_gallery_of_a_few_items_is_not_searched():
    asking = pairs(20, 1, ("query",))
    with pytest.raises(BadInput, match="5 items are searched"):
        directions(Probes(pairs(5, names=("doc",)), {"doc": np.arange(5)}, asking, {"query": np.arange(20) % 5}))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"things": {"sound": np.arange(30)}}, "things name the modality 'sound'"),
        ({"things": {"text": np.arange(29)}}, "one value for each of its 30 rows"),
        ({"query_things": {"text": np.arange(30)}}, "there are none"),
        ({"queries": pairs(5, dims=(4, 7))}, "same two spaces"),
        ({"relevance": {"text->image": np.eye(30)}}, "no queries"),
        ({"queries": pairs(5), "relevance": {"text": np.eye(5)}}, "query modality->item modality"),
        ({"queries": pairs(5), "relevance": {"text->image": np.ones((5, 29))}}, r"shape \(5, 30\)"),
        ({"asked": {"text": np.ones(3)}}, "asked of 'text'"),
        ({"asked": {"text": ["often"] * 30}}, "numbers of at least 0"),
        ({"asked": {"text": np.full(30, np.nan)}}, "numbers of at least 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(more, says):
    with pytest.raises(BadInput, match=says):
        Probes(pairs(), **more)
