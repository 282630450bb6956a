from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import datasets

from commonspace.align.fit import fit_heads
from commonspace.align.tables.roles import Roles
from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.space import Space

PAIR = {"a": "a", "b": "b"}
TEXTS = ["cup", "long " * 2000, "hat"]


def table(**columns):
    return dict(columns)


def test_rows_are_things_seen_in_their_sides_and_equal_anchors_are_one_thing():
    rows = Roles(sides=PAIR).apply(table(a=["x", "y", "x", None], b=["1", "2", "3", "4"]))
    assert rows.table["a"] == ["x", "y", "x", None]
    assert rows.groups.tolist() == [0, 1, 0, 2]
    assert rows.present["a"].tolist() == [True, True, True, False]
    assert rows.options == {}
    assert rows.table["group"] == [0, 1, 0, 2]


def test_long_texts_from_a_file_and_texts_that_name_a_file_stay_as_they_are(tmp_path):
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"a": f"word {i}", "b": w}) for i, w in enumerate(TEXTS)))
    (tmp_path / "cup").write_text("")
    rows = Roles(sides=PAIR).apply(tmp_path / "t.jsonl")
    assert rows.table["b"] == TEXTS
    assert rows.table.base == tmp_path  # so that Space still finds pictures beside the file


def test_a_label_says_which_rows_show_the_same_thing():
    rows = Roles(sides=PAIR, label="l").apply(table(a=list("wxyz"), b=list("1234"), l=["p", "q", "p", None]))
    assert rows.groups.tolist() == [0, 1, 0, 2]


def test_empty_rows_and_repeated_ones_are_left_out_and_counted():
    given = table(a=["x", " ", "x", "z", "q"], b=["1", None, "1", "2", "3"], lang=["en", "en", "en", "en", "de"])
    rows = Roles(sides=PAIR, where={"lang": ["en", "fr"]}).apply(given)
    assert rows.rows.tolist() == [0, 3]
    assert rows.left_out == {"by the filter": 1, "empty": 1, "said twice": 1}
    assert "left out: 1 by the filter, 1 empty, 1 said twice" in str(rows)


def test_wrong_items_are_rows_of_one_side_that_belong_to_nobody():
    given = table(a=["x", "y", "z"], b=["1", "2", "3"], no=["2", ["8", "9"], None], also=[None, "8", ""])
    rows = Roles(sides=PAIR, negatives={"b": ["no", "also"]}).apply(given)
    assert rows.table["b"] == ["1", "2", "3", "8", "9"]  # "2" is somebody's right item and needs no row
    assert rows.table["a"][3:] == [None, None]
    assert rows.wrong.tolist() == [False, False, False, True, True]
    assert len(set(rows.groups.tolist())) == 5
    assert rows.rows.tolist() == [0, 1, 2, 1, 1]
    told = [set(r[r >= 0].tolist()) for r in rows.misses]
    assert told[0] == {1}
    assert told[1] >= {3, 4}
    assert told[2] == set()


def test_a_pair_that_is_told_once_for_each_wrong_item_is_one_row_with_all_of_them():
    given = table(a=["x", "x", "y"], b=["1", "1", "2"], no=["8", "9", "7"])
    rows = Roles(sides=PAIR, negatives={"b": "no"}).apply(given)
    assert rows.table["b"] == ["1", "2", "8", "9", "7"]
    assert rows.left_out["said twice"] == 1
    assert {rows.table["b"][j] for j in rows.misses[0] if j >= 0} == {"8", "9"}


def test_batches_bring_wrong_items_to_those_they_are_wrong_for():
    n = 60
    given = table(a=[f"a{i}" for i in range(n)], b=[f"b{i}" for i in range(n)], no=[f"w{i}" for i in range(n)])
    rows = Roles(sides=PAIR, negatives={"b": "no"}).apply(given)
    sampler = build("Sampler", rows.options["sampler"], batch_size=12)
    together = 0
    for batch in sampler.batches(len(rows), np.random.default_rng(0)):
        members = set(batch.tolist())
        together += sum(n + i in members for i in members if i < n)
    assert together >= 50  # a family is parted only where a batch ends; at random it would be 5


def test_a_score_of_zero_makes_a_wrong_item_of_the_other_side():
    given = table(a=["x", "x", "y"], b=["1", "2", "3"], s=[2, 0, 1])
    rows = Roles(sides=PAIR, score="s").apply(given)
    assert rows.table["b"] == ["1", "3", "2"]
    assert rows.wrong.tolist() == [False, False, True]
    assert 2 in rows.misses[0]
    assert rows.options["relevance"](np.arange(3)).tolist() == [[2, 0, 0], [0, 1, 0], [0, 0, 0]]


def crossed(anchors, others, scores):
    """R by its definition, pair by pair."""
    n = len(scores)
    known = {}
    for a, b, s in zip(anchors, others, scores, strict=True):
        known[a, b] = max(s, known.get((a, b), 0))
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            s_ij, s_ji = known.get((anchors[i], others[j]), 0), known.get((anchors[j], others[i]), 0)
            same = [v for v, here in ((s_ij, anchors[i] == anchors[j]), (s_ji, others[i] == others[j])) if here]
            out[i, j] = max(same) if same else max(s_ij, s_ji)
    return out


@pytest.mark.parametrize("seed", range(5))
def test_grades_of_crossed_pairs_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    cells = rng.permutation([(a, b) for a in range(6) for b in range(6)])[:18]
    anchors, others = ([f"{w}{v}" for v in cells[:, k]] for k, w in ((0, "a"), (1, "b")))
    scores = rng.integers(1, 5, 18).tolist()
    rows = Roles(sides=PAIR, score="s").apply(table(a=anchors, b=others, s=scores))
    at = rng.permutation(18)
    np.testing.assert_array_equal(
        rows.options["relevance"](at), crossed(anchors, others, scores)[np.ix_(at, at)].astype(np.float32)
    )


def test_tags_grade_rows_by_what_they_share():
    given = table(a=list("xyz"), b=list("123"), t=["red, round", "round", None])
    rows = Roles(sides=PAIR, tags={"column": "t", "transform": "split"}).apply(given)
    np.testing.assert_allclose(rows.options["relevance"](np.arange(3)), [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])


def test_both_parts_of_a_split_know_their_own_rows():
    n = 40
    given = table(
        a=[f"a{i // 2}" for i in range(n)],
        b=[f"b{i}" for i in range(n)],
        s=[1 + i % 3 for i in range(n)],
        no=[f"w{i}" for i in range(n)],
    )
    rows = Roles(sides=PAIR, score="s", negatives={"b": "no"}).apply(given)
    train, valid = rows.split(0.25, random_state=1)
    assert len(train) + len(valid) == len(rows)
    assert not set(train.groups.tolist()) & set(valid.groups.tolist())
    assert len(set(valid.groups[~valid.wrong].tolist())) == 5
    for part in (train, valid):
        owners = np.flatnonzero(~part.wrong)
        for i in owners:
            wrong = part.misses[i][part.misses[i] >= 0]
            assert {part.table["b"][j] for j in wrong} == {"w" + part.table["b"][i][1:]}
        at = np.arange(len(part))
        whole = [
            int(np.flatnonzero((rows.rows == r) & (rows.wrong == w))[0])
            for r, w in zip(part.rows, part.wrong, strict=True)
        ]
        np.testing.assert_array_equal(part.options["relevance"](at), rows.options["relevance"](np.array(whole)))


def test_what_cannot_be_used_is_said():
    given = table(a=list("xyz"), b=list("123"), s=[1, -1, 2], t=["red", "round", ""])
    with pytest.raises(BadInput, match=r"the score of the recipe in row 1 is -1"):
        Roles(sides=PAIR, score="s").apply(given)
    with pytest.raises(BadInput, match=r"the tags of the recipe in row 0 are the text 'red'.*split"):
        Roles(sides=PAIR, tags="t").apply(given)
    with pytest.raises(BadInput, match="leaves no row of 3"):
        Roles(sides=PAIR, where={"a": "q"}).apply(given)
    with pytest.raises(BadInput, match="leaves 1 rows"):
        Roles(sides=PAIR).apply(table(a=["x", "x"], b=["1", "1"]))
    with pytest.raises(BadInput, match="cannot be split"):
        Roles(sides=PAIR).apply(given).split(0.5)


def halves():
    images = datasets.load_digits().images.astype(np.float32)
    target = datasets.load_digits().target
    return {
        "left": list(images[:, :, :4].reshape(-1, 32)),
        "right": list(images[:, :, 4:].reshape(-1, 32)),
        "d": target,
    }


def frame(name):
    loaded = getattr(datasets, f"load_{name}")()
    names = loaded.target_names if hasattr(loaded, "target_names") else None
    kind = [str(t) if names is None else str(names[t]) for t in loaded.target]
    return [{"x": {"first": v[:2], "rest": v[2:]}, "kind": k} for v, k in zip(loaded.data, kind, strict=True)]


NLI = [
    {"premise": f"a {x} {y}s", "says": {"yes": f"a {x} moves", "no": f"no {x} {y}s"}, "label": w}
    for x in ("dog", "cat", "bird", "child")
    for y in ("run", "walk", "jump")
    for w in ("entails", "neutral")
]
BUNDLED = {
    "digits": (halves, {"sides": {"left": "left", "right": "right"}}),
    "digits, classes": (halves, {"sides": {"left": "left", "right": "right"}, "label": "d"}),
    "digits, threes": (halves, {"sides": {"left": "left", "right": "right"}, "where": {"d": 3}}),
    "wine": (lambda: frame("wine"), {"sides": {"acids": "x.first", "rest": "x.rest"}, "label": "kind"}),
    "iris": (lambda: frame("iris"), {"anchor": "x.rest", "positive": "kind"}),
    "breast cancer": (lambda: frame("breast_cancer"), {"anchor": "x.first", "positive": "x.rest", "label": "kind"}),
    "nli": (lambda: NLI, {"anchor": "premise", "positive": "says.yes", "negatives": "says.no"}),
    "nli, entailed": (
        lambda: NLI,
        {"anchor": {"column": "premise", "transform": "lower"}, "positive": "says.yes", "where": {"label": "entails"}},
    ),
}


@pytest.mark.parametrize("name", BUNDLED)
def test_recipes_over_tables_that_come_with_libraries_give_rows_that_fit_takes(name):
    make, recipe = BUNDLED[name]
    rows = Roles.of({"name": name, **recipe}).apply(make())
    sides = list(rows.roles.sides)
    assert set(rows.table.columns) == {*sides, "group"}
    assert all(len(rows.table[m]) == len(rows) for m in sides)
    assert rows.groups.dtype == np.int64
    assert (rows.groups >= 0).all()
    assert all((~rows.wrong <= mask).all() for mask in rows.present.values())
    assert rows.rows.min() >= 0
    assert "rows of" in str(rows)


def test_heads_are_fitted_on_rows_in_their_roles():
    make, recipe = BUNDLED["digits, classes"]
    rows = Roles.of(recipe).apply({k: v[:200] for k, v in make().items()})
    X = {m: np.stack(rows.table[m]) for m in rows.roles.sides}
    found = fit_heads(X, groups=rows.groups, present=rows.present, valid=None, epochs=1, baselines=(), **rows.options)
    assert set(found.heads) == {"left", "right"}


def test_a_space_is_fitted_on_rows_with_grades_and_wrong_items():
    words = ["red", "blue", "green", "grey"]
    things = ["cup", "house", "tree", "dog", "moon", "boat"]
    given = [
        {"q": f"{w} {t}", "a": f"the {t} is {w}", "no": f"the {t} is not {w}", "s": 1 + len(w) % 2}
        for w in words
        for t in things
    ]
    recipe = {"sides": {"q": "q", "a": "a"}, "negatives": {"a": "no"}, "score": "s"}
    train, valid = Roles.of(recipe).apply(given).split(0.2)
    space = Space({"q": "ngrams", "a": "ngrams"}, dim=8)
    report = space.fit(
        train.table, group="group", valid=valid.table, cache=False, epochs=2, baselines=(), **train.options
    )
    assert space.fitted
    assert report.n_train == len(train)


def test_of_a_pair_that_is_graded_twice_the_best_grade_counts():
    rows = [{"q": "x", "a": "y", "s": 1}, {"q": "x", "a": "y", "s": 3}, {"q": "z", "a": "w", "s": 2}]
    made = Roles(sides={"q": "q", "a": "a"}, score="s").apply(rows)
    assert made.left_out["said twice"] == 1
    assert made.grades(np.arange(2)).tolist() == [[3, 0], [0, 2]]


def test_a_bad_score_is_named_by_its_row_in_the_table_that_was_filtered():
    rows = [{"q": f"q {i}", "a": f"a {i}", "lang": ["de", "en"][i % 2], "s": "?" if i == 7 else 1} for i in range(9)]
    with pytest.raises(BadInput, match="in row 7 is"):
        Roles(sides={"q": "q", "a": "a"}, score="s", where={"lang": "en"}).apply(rows)
    tagged = [{**row, "s": "one text" if i == 7 else ["x"]} for i, row in enumerate(rows)]
    with pytest.raises(BadInput, match="in row 7 are"):
        Roles(sides={"q": "q", "a": "a"}, tags="s", where={"lang": "en"}).apply(tagged)
