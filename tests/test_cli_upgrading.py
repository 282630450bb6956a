"""The commands of upgrade: what they print, how they end, and that each goes on where another process has stopped."""

import json

import pytest
from tests.planted_space import Planted, new_space, old_space

from commonspace import Collection
from commonspace.cli import run_command


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr("commonspace.space.Space", Planted)
    new_space().save(tmp_path / "new")
    with Collection.create(tmp_path / "c.cs", old_space(noise=0.4)) as c:
        things = [{"id": i, "text": str(i), "image": str(i), "n": i} for i in range(80)]
        c.add(things, keep=("text", "image"), progress=False)
    return c.path


def run(capsys, *arguments):
    capsys.readouterr()
    status = run_command(["upgrade", *(str(a) for a in arguments)])
    return (status, *capsys.readouterr())


def plan(capsys, path, *more):
    options = ("--bridge", "ridge", "--share", "0.5")
    return run(capsys, "plan", path, path.parent / "new", "--out", path.parent / "plan", *options, *more)


def test_a_migration_from_the_plan_to_the_finish(path, capsys):
    new, folder = path.parent / "new", path.parent / "plan"
    status, out, error = plan(capsys, path)
    assert (status, error) == (0, "")
    assert out.splitlines()[0].startswith(("bridge", "partial backfill", "re-embed"))
    assert f"commonspace upgrade apply {path} {folder} {new} carries it out" in out
    assert "no migration is under way" in run(capsys, "status", path)[1]
    status, out, _ = run(capsys, "apply", path, folder, new, "--option", "ridge of queries")
    assert status == 0
    assert "which carries queries; serving since" in out
    assert run(capsys, "apply", path, folder, "--option", "ridge of queries")[0] == 0
    state = json.loads(run(capsys, "status", path, "--json")[1])
    assert state["modalities"]["text"] == {"items": 80, "native": 0, "bridged": 80, "share": 0.0}
    status, _, error = run(capsys, "finish", path)
    assert (status, "80 of text" in error, "leave=True" in error) == (2, True, True)
    out = run(capsys, "backfill", path, "--share", "0.5")[1]
    assert "Made 80 vectors" in out
    assert "Still found through the bridge: 40 of image, 40 of text" in out
    done = json.loads(run(capsys, "backfill", path, "--in-order", "--json")[1])
    assert (done["made"], done["left"], done["state"]["modalities"]["image"]["share"]) == (80, {}, 1.0)
    status, out, _ = run(capsys, "finish", path, "--drop-old")
    assert (status, out) == (0, f"{path} uses the space new\n")
    assert run(capsys, "finish", path)[0] == 2


def test_a_migration_that_is_given_up(path, capsys):
    plan(capsys, path, "--items", "60", "--json")
    run(capsys, "apply", path, path.parent / "plan", path.parent / "new", "--option", "ridge of items")
    with Collection.open(path) as c:
        c.add([{"id": 100, "text": "100"}], progress=False)
    status, _, error = run(capsys, "rollback", path)
    assert (status, "1 of text" in error) == (2, True)
    status, out, _ = run(capsys, "rollback", path, "--leave", "--drop-new")
    assert (status, out) == (0, f"{path} uses the space old again; without a vector are 1 of text\n")


def test_what_contradicts_itself_is_refused_before_any_work(path, capsys, tmp_path):
    status, _, error = run(capsys, "plan", path, tmp_path / "new", "--items", "5", "--probes", "x.csv")
    assert (status, "give one of them" in error) == (2, True)
    status, _, error = run(capsys, "plan", path, tmp_path / "new", "--out", tmp_path / "new")
    assert (status, "exists already" in error) == (2, True)
    assert run(capsys, "apply", path, tmp_path / "nothing")[0] == 2


def test_messages_say_what_is_missing_and_what_to_give(path, capsys, tmp_path):
    assert "there is no plan at" in run(capsys, "apply", path, tmp_path / "nothing")[2]
    plan(capsys, path)
    status, _, error = run(capsys, "apply", path, path.parent / "plan", "--option", "ridge of queries")
    assert (status, "has no space 'new' yet" in error) == (2, True)
    assert "no migration of" in run(capsys, "backfill", path)[2]
    with Collection.open(path) as c:
        c.add([{"id": 100, "text": "100", "title": "100"}], new_fields=True, progress=False)
    run(capsys, "apply", path, path.parent / "plan", path.parent / "new", "--option", "ridge of queries")
    assert "--column name a field that holds them (fields: n, title)" in run(capsys, "backfill", path)[2]
    assert run(capsys, "backfill", path, "--modality", "text", "--column", "title")[1].startswith("Made 1 vectors")
