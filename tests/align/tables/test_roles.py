from __future__ import annotations

import json

import pytest

from commonspace.align.tables.roles import TRANSFORMS, Roles, read_column
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.tables import read_table

FAQ = [
    {"q": "how?", "answers": {"text": ["so", "thus"], "by": "ann"}, "bad": "never", "lang": "en"},
    {"q": "why?", "answers": {"text": ["because"], "by": "bob"}, "bad": ["no", "nor"], "lang": "en"},
    {"q": "wer?", "answers": {"text": [], "by": None}, "bad": None, "lang": "de"},
]


def test_a_recipe_is_read_from_toml_and_from_json_alike(tmp_path):
    toml = '[sides]\nquestion = "q"\nanswer = "answers.text.0"\n[negatives]\nanswer = ["bad"]\n'
    (tmp_path / "faq.toml").write_text(toml)
    as_json = {"sides": {"question": "q", "answer": "answers.text.0"}, "negatives": {"answer": ["bad"]}}
    (tmp_path / "faq.json").write_text(json.dumps(as_json))
    one, other = Roles.read(tmp_path / "faq.toml"), Roles.read(tmp_path / "faq.json")
    assert one == other
    assert one.name == "faq"
    assert one.anchor == "question"


def test_what_a_recipe_writes_it_reads_back():
    roles = Roles(
        sides={"a": {"column": "x", "transform": "lower"}, "b": {"constant": "?"}}, label="l", where={"lang": ["en"]}
    )
    assert Roles.of(roles.to_dict()) == roles
    assert json.loads(json.dumps(roles.to_dict())) == roles.to_dict()
    assert Roles.of(roles) is roles


def test_anchor_and_positive_are_short_for_two_sides():
    short = Roles.of({"anchor": "q", "positive": "answers.by", "negatives": "bad"})
    assert short == Roles(sides={"anchor": "q", "positive": "answers.by"}, negatives={"positive": "bad"})


@pytest.mark.parametrize(
    ("source", "cells"),
    [
        ("q", ["how?", "why?", "wer?"]),
        ("answers.by", ["ann", "bob", None]),
        ("answers.text.0", ["so", "because", None]),
        ({"column": "answers.text", "transform": "first"}, ["so", "because", None]),
        ({"column": "lang", "transform": "text"}, ["en", "en", "de"]),
        ({"constant": 3}, [3, 3, 3]),
    ],
)
def test_a_source_is_a_column_a_path_a_transform_or_a_constant(source, cells):
    assert read_column(read_table(FAQ), source, "the side") == cells


def test_a_column_whose_name_holds_a_dot_is_that_column():
    assert read_column(read_table([{"a.b": 1, "a": {"b": 2}}]), "a.b", "x") == [1]


@pytest.mark.parametrize(
    ("transform", "cell", "becomes"),
    [
        ("strip", " A b ", "A b"),
        ("lower", " A b ", "a b"),
        ("number", "2.5", 2.5),
        ("split", "a, b,,c ", ["a", "b", "c"]),
        ("split", "a; b, c", ["a; b", "c"]),
        ("split", "one", ["one"]),
        ("first", [4, 5], 4),
        ("first", [], None),
        ("text", 7, "7"),
    ],
)
def test_transforms(transform, cell, becomes):
    assert TRANSFORMS[transform](cell) == becomes


def test_a_cell_that_a_transform_cannot_take_is_named_by_its_row():
    table = read_table([{"n": "1"}, {"n": None}, {"n": "many"}])
    with pytest.raises(BadInput, match=r"the score: row 2 of 'n': 'many' is not a number"):
        read_column(table, {"column": "n", "transform": "number"}, "the score")


def test_a_column_that_is_not_there_is_named_with_its_role_and_its_neighbour():
    roles = Roles(sides={"question": "q", "answer": "answer"}, name="faq")
    with pytest.raises(NotFound, match=r"the side 'answer' of the recipe 'faq' reads the column 'answer'.*'answers'"):
        roles.check(FAQ)


def test_a_path_that_no_row_has_and_one_through_a_plain_cell_are_named():
    with pytest.raises(NotFound, match=r"'answers\.texts', which no row has"):
        read_column(read_table(FAQ), "answers.texts", "the side")
    with pytest.raises(BadInput, match="row 0 of 'q' has no fields to go on to 'x'"):
        read_column(read_table(FAQ), "q.x", "the side")


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"sides": {"a": "x"}}, "at least two sides"),
        ({"sides": ["a", "b"]}, "at least two sides"),
        ({}, "needs sides"),
        ({"sides": {"a": "x", "b": "y"}, "lable": "z"}, "no role 'lable' .did you mean 'label'"),
        ({"sides": {"a": "x", "group": "y"}}, "rename it"),
        ({"sides": {"a": "x", "b": "y"}, "negatives": {"a": "z"}}, "wrong items can be of b"),
        ({"sides": {"a": "x", "b": "y"}, "negatives": ["z"]}, "must be a mapping"),
        ({"sides": {"a": "x", "b": "y", "c": "z"}, "score": "s"}, "a score is of two sides"),
        ({"sides": {"a": "x", "b": "y"}, "score": "s", "tags": "t"}, "leave one out"),
        ({"sides": {"a": "x", "b": {"column": "y", "transform": "eval"}}}, "no transform 'eval'"),
        ({"sides": {"a": "x", "b": {"code": "y"}}}, "the side 'b' of the recipe must be a column"),
        ({"sides": {"a": "x", "b": {"column": 3}}}, "a column is a name"),
        ({"sides": {"a": "x", "b": 3}}, "must be a column"),
        ({"anchor": "x", "positive": "y", "sides": {}}, "not both"),
        (["a"], "a mapping of roles"),
    ],
)
def test_a_malformed_recipe_says_what_is_wrong(recipe, words):
    with pytest.raises(BadInput, match=words):
        Roles.of(recipe)


def test_files_that_are_no_recipes_are_refused(tmp_path):
    with pytest.raises(NotFound, match="no recipe"):
        Roles.read(tmp_path / "none.toml")
    (tmp_path / "r.yaml").write_text("a: b")
    with pytest.raises(BadInput, match=r"\.toml or \.json"):
        Roles.read(tmp_path / "r.yaml")
    (tmp_path / "r.toml").write_text("sides = {")
    with pytest.raises(BadInput, match="cannot read the recipe"):
        Roles.read(tmp_path / "r.toml")
    (tmp_path / "r.json").write_text("[1]")
    with pytest.raises(BadInput, match="a mapping of roles"):
        Roles.read(tmp_path / "r.json")
