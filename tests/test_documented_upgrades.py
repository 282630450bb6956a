"""Every example of the pages on migrations of collections, and on scores, runs as it is printed."""

import csv
import zlib

import pytest
from tests.documented import commands, examples
from tests.planted_space import Planted

from commonspace import Collection
from commonspace.cli import run_command

PAGE = "upgrade-collections.md"
N = 80


class Reader(Planted):
    """Reads words, too: they are items like others."""

    def encode_items(self, items, modality, **options):
        numbers = [x if x.isdigit() else str(zlib.crc32(x.encode())) for x in map(str, items)]
        return super().encode_items(numbers, modality, **options)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with what the page supposes: a collection, a new space, and queries."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("commonspace.space.Space", Reader)
    Reader(id="new", dim=10, seed=2, noise=0.1).save(tmp_path / "new-space")
    with Collection.create("icons.cs", Reader(noise=0.4)) as c:
        things = [{"id": i, "text": str(i), "image": str(i)} for i in range(N)]
        c.add(things, keep=("text", "image"), progress=False)
    with open("queries.csv", "w", newline="") as file:
        csv.writer(file).writerows([["text", "relevant"], *([i, i] for i in range(N))])
    return tmp_path


@pytest.mark.parametrize("number", range(len(examples(PAGE, "python"))))
def test_an_example_in_python_runs(here, number):
    block = examples(PAGE, "python")[number]
    with Collection.open("icons.cs") as icons:
        known = {"icons": icons, "new_space": Reader.load("new-space"), "queries": [str(i) for i in range(N)]}
        exec(compile(block, f"{PAGE}, example {number + 1}", "exec"), known)
        state = icons.upgrading()
        assert icons.space.id == "new"
        assert (state is None) == ("finish_upgrade" in block)
        if "cutoff" in known:
            assert known["cutoff"].by == "share"
            assert 0 <= len(known["used"]) <= 10


def test_the_commands_run_one_after_the_other(here, capsys):
    (block,) = (b for b in examples(PAGE, "") if "commonspace upgrade" in b)
    done = commands(block)
    assert {c[1] for c in done} == {"plan", "apply", "backfill", "status", "cutoff", "finish"}
    for one in done:
        status = run_command(one)
        assert status == 0, (one, capsys.readouterr().err)
    assert "becomes" in capsys.readouterr().out
    with Collection.open("icons.cs") as icons:
        assert icons.upgrading() is None
        assert icons.space.id == "new"
        assert icons.spaces()["old"] == {}


def test_the_examples_on_scores_run_one_after_the_other(capsys):
    known, said = {}, []
    for number, block in enumerate(examples("scores.md", "python")):
        exec(compile(block, f"scores.md, example {number + 1}", "exec"), known)
        said += capsys.readouterr().out.splitlines()
    told = "\n".join(said)
    assert "by precision" in told
    assert "by share" in told
    assert 0 < known["old_right"].mean() < known["new_right"].mean() < 1
    assert " !" not in told.split("by share")[0]  # the world is one in which a cut-off can be carried over
    assert known["new"].error.value < known["new"].left.value
    assert known["merged"].shape == (300, 600)


def test_there_are_examples_to_run():
    assert len(examples(PAGE, "python")) >= 2
    assert len(examples("scores.md", "python")) >= 5
