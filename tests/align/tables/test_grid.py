from __future__ import annotations

from pathlib import Path

import pytest

import commonspace.align as align
from commonspace.align.tables.grid import Reads, markdown, objectives_grid, probe, samplers_grid
from commonspace.align.tables.suited import CALLS
from commonspace.core.registry import entries

DOCS = Path(__file__).parents[3] / "docs/methods/align.md"
BEGIN, END = "<!-- inputs grid: python -m commonspace.align.tables.grid -->\n", "\n<!-- end of the inputs grid -->"


def known() -> dict[str, Reads]:
    return {r.name: r for r in objectives_grid()}


def test_every_registered_objective_and_sampler_stands_in_the_grid() -> None:
    assert list(known()) == [e.name for e in entries("Objective")]
    assert [name for name, _ in samplers_grid()] == [e.name for e in entries("Sampler")]


def test_the_grid_in_the_documentation_is_what_the_methods_say_of_themselves() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert BEGIN in text
    shown = text.partition(BEGIN)[2].partition(END)[0]
    assert shown == markdown(), "write the output of `python -m commonspace.align.tables.grid` between the two marks"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("infonce", "pairs", "or groups"),
        ("infonce", "groups", "used"),
        ("infonce", "grades", "used"),
        ("infonce", "encoder_outputs", "-"),
        ("infonce", "modalities", "by twos"),
        ("one-to-k", "modalities", "together"),
        ("cwcl", "encoder_outputs", "used"),
        ("equiangular", "pairs", "not needed"),
        ("equiangular", "groups", "needed"),
        ("madacos", "groups", "needed"),
        ("siamlip", "pairs", "needed"),
        ("siamlip", "grades", "-"),
        ("barlip", "groups", "-"),
        ("bct", "old_vectors", "needed"),
        ("simplex", "old_vectors", "used"),
        ("simplex", "groups", "needed"),
        ("infonce", "old_vectors", "-"),
        ("starbucks", "head", "several layers"),
        ("matryoshka", "head", "any"),
    ],
)
def test_what_is_known_of_a_method_is_found_by_asking_it(name: str, field: str, value: str) -> None:
    assert getattr(known()[name], field) == value


def test_asking_twice_gives_the_same_answer() -> None:
    assert all(probe(name) == known()[name] for name in ("infonce", "ranking", "2d-matryoshka"))


def test_locality_reads_misses_and_uniform_nothing() -> None:
    found = dict(samplers_grid())
    assert found["uniform"] == ()
    assert found["locality"] == ("misses",)


def test_every_function_of_the_room_that_reads_data_stands_among_the_calls() -> None:
    trained_by = {"fit_heads", "compare_baselines"}  # what the grid is for, and what fit_heads calls
    functions = {name for name in align.__all__ if name.islower()} - trained_by
    assert functions <= {call.partition("(")[0] for call in CALLS}
