"""The command index, and search --exact and --explain: what they print and how they end."""

import json

import numpy as np
import pytest
from tests.fake_space import DIM, FakeSpace

from commonspace import Collection
from commonspace.cli import run_command
from commonspace.core.vectors import unit


class Space(FakeSpace):
    def bank(self, modality):
        return unit(np.random.default_rng(1).normal(size=(20, DIM)).astype(np.float32))


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr("commonspace.space.Space", Space)
    with Collection.create(tmp_path / "c.cs", Space()) as c:
        c.add([{"id": i, "text": f"word{i}", "n": i} for i in range(150)])
    return c.path


def run(capsys, *arguments):
    capsys.readouterr()
    status = run_command([str(a) for a in arguments])
    return (status, *capsys.readouterr())


def test_an_index_is_built_kept_up_to_date_and_dropped(path, capsys):
    status, out, _ = run(capsys, "index", path, "--code", "scalar")
    assert status == 0
    head, row = out.splitlines()
    assert head.split("  ")[0] == "modality"
    assert row.split()[:8] == ["text", "scalar", "0", "150", "0", "1", "150", str(DIM)]
    (again,) = json.loads(run(capsys, "index", path, "--modality", "text", "--json")[1])
    assert (again["vectors"], again["written"], again["codes"], again["fresh"]) == (150, 0, ["scalar"], 0)
    assert again["bytes_in_memory"] > 150 * DIM
    known = json.loads(run(capsys, "info", path, "--json")[1])["index"]["text"]
    assert (known["segments"], known["inside"], known["fresh"], known["bytes"] > 150 * DIM) == (1, 150, 0, True)
    assert '"segments": 1, "inside": 150' in run(capsys, "info", path)[1]
    assert json.loads(run(capsys, "index", path, "--rebuild", "--json")[1])[0]["written"] == 150
    assert run(capsys, "index", path, "--drop")[1] == f"Removed 1 segments; {path} is searched exactly\n"
    assert json.loads(run(capsys, "index", path, "--drop", "--json")[1]) == {"removed": 0}


def test_a_code_is_named_or_given_with_its_arguments(path, capsys):
    (built,) = json.loads(run(capsys, "index", path, "--code", '{"name": "scalar", "bits": 4}', "--json")[1])
    assert built["bytes_per_vector"] == DIM / 2
    status, out, error = run(capsys, "index", path, "--code", "{nonsense")
    assert (status, out, "a name or a JSON object" in error) == (2, "", True)
    status, _, error = run(capsys, "index", path, "--code", "nonesuch")
    assert (status, "nonesuch" in error) == (2, True)


def test_links_are_built_as_asked(path, capsys):
    pytest.importorskip("numba")
    arguments = ("index", path, "--code", '{"name": "scalar", "bits": 4}')
    (built,) = json.loads(run(capsys, *arguments, "--degree", 8, "--json")[1])
    assert built["degree"] == 8
    (built,) = json.loads(run(capsys, *arguments, "--degree", 0, "--json")[1])
    assert built["degree"] == 0
    status, out, error = run(capsys, "index", path, "--degree", -1)
    assert (status, out, "degree must be 0" in error) == (2, "", True)


def test_past_filters_come_from_a_file(path, tmp_path, capsys):
    filters = tmp_path / "filters.txt"
    filters.write_text("n < 20\nn < 20\n\nn > 100\n")
    assert run(capsys, "index", path, "--code", "scalar", "--workload", filters)[0] == 0
    with Collection.open(path) as c:
        assert c._workload(c._column("text", None)) == {"n < 20": 2, "n > 100": 1}
    status, out, error = run(capsys, "index", path, "--workload", tmp_path / "nothing")
    assert (status, out, "--workload" in error) == (2, "", True)


def test_few_vectors_need_no_index_and_the_command_says_so(path, capsys):
    status, out, _ = run(capsys, "index", path)
    assert status == 0
    assert "text: so few vectors are searched exactly" in " ".join(out.split())
    assert Collection.open(path).index() == []


def test_what_cannot_be_ends_with_2(path, tmp_path, capsys):
    for arguments, words in (
        ((path, "--modality", "sound"), "sound"),
        ((path, "--drop", "--rebuild"), "without --code, --degree, --workload and --rebuild"),
        ((path, "--drop", "--modality", "image"), "no vectors of image"),
        ((tmp_path / "nothing",), "no collection"),
    ):
        status, out, error = run(capsys, "index", *arguments)
        assert (status, out, words in error) == (2, "", True)


def test_a_search_says_how_it_was_done_if_asked(path, capsys):
    run(capsys, "index", path, "--code", "scalar")
    status, out, _ = run(capsys, "search", path, "word7", "-k", 3, "--where", "n < 20", "--explain")
    assert status == 0
    assert out.splitlines()[1].split() == ["1.000", "7", "7"]
    assert "filter n < 20: 20 items (13.3 %)" in out
    assert "text: exact, 20 of 150 vectors" in out
    found = json.loads(run(capsys, "search", path, "word7", "-k", 3, "--explain", "--json")[1])
    assert [found["hits"][0]["id"], found["plan"]["selected"]] == [7, 150]
    assert found["plan"]["plans"]["text"][0]["vectors"] == 150
    assert "filter" not in run(capsys, "search", path, "word7")[1]


def test_an_exact_search_leaves_the_index_alone(path, capsys):
    run(capsys, "index", path, "--code", "scalar")
    out = run(capsys, "search", path, "word7", "--exact", "--explain")[1]
    assert "exact search was asked for" in out
    found = json.loads(
        run(capsys, "search", path, "word7", "--exact", "--explain", "--json")[1], parse_constant=pytest.fail
    )
    assert found["plan"]["plans"]["text"][0]["index_ms"] is None
    plain, exact = (json.loads(run(capsys, "search", path, "word7", "--json", *e)[1]) for e in ((), ("--exact",)))
    assert plain == exact


def test_compact_counts_the_segments_that_it_removes(path, capsys):
    run(capsys, "index", path, "--code", "scalar")
    with Collection.open(path) as c:
        c.add([{"id": 200, "text": "more"}])
    out = run(capsys, "compact", path, "--clean-up", "0")[1]
    assert "1 segments of the index" in out
