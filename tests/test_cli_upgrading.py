"""The commands of upgrade: what they print, how they end, and that each goes on where another process has stopped."""

import csv
import json
import re

import pytest
from tests.planted_space import Planted, new_space, old_space

from commonspace import Collection
from commonspace.cli import run_command
from commonspace.cli.planned import folded, shown
from commonspace.cli.words import spoken
from commonspace.upgrade.plan import Plan
from commonspace.upgrade.showing import table


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
    assert "through ridge of queries; serving since" in out
    assert run(capsys, "apply", path, folder, "--option", "ridge of queries")[0] == 0
    state = json.loads(run(capsys, "status", path, "--json")[1])
    assert state["modalities"]["text"] == {"items": 80, "native": 0, "bridged": 80, "share": 0.0}
    status, _, error = run(capsys, "finish", path)
    assert (status, "80 of text" in error, "--leave finishes without them" in error) == (2, True, True)
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


def test_tables_that_say_nothing_are_named_by_their_options(path, capsys):
    queries, new = path.parent / "queries.csv", path.parent / "new"
    queries.write_text("text,relevant\n")
    assert "--queries is an empty table" in plan(capsys, path, "--queries", queries)[2]
    status, _, error = run(capsys, "plan", path, new, "--column", "text=thing")
    assert (status, "--column is of a table of --probes, but" in error) == (2, True)
    queries.write_text("\n".join(["text,relevant", *(f"{i},{i + 5000}" for i in range(40))]))
    assert "or leave --queries out" in plan(capsys, path, "--queries", queries)[2]
    plan(capsys, path)
    run(capsys, "apply", path, path.parent / "plan", new, "--option", "ridge of queries")
    error = run(capsys, "cutoff", path, "0.6", "--queries", queries, "--relevant", "text", "--where", "n < 0")[2]
    assert "in the space old matches --where 'n < 0'" in error
    error = run(capsys, "cutoff", path, "--queries", queries, "--relevant", "text", "--", "-0.2")[2]
    assert "old scores reach the cut-off -0.2" in error


OLD, NEW = "0f" * 16, "e8" * 16


@pytest.fixture
def long_ids(tmp_path, monkeypatch):
    """A collection and a space with ids of 32 digits, as real ones have them."""
    monkeypatch.setattr("commonspace.space.Space", Planted)
    new_space(id=NEW).save(tmp_path / "new")
    with Collection.create(tmp_path / "c.cs", old_space(id=OLD, noise=0.4)) as c:
        things = [{"id": i, "text": str(i), "image": str(i), "thing": f"t{i // 2}"} for i in range(80)]
        c.add(things, keep=("text", "image"), progress=False)
    return c.path


def test_the_status_names_bridges_as_plans_do_and_shows_short_ids(long_ids, capsys):
    path, folder, new = long_ids, long_ids.parent / "plan", long_ids.parent / "new"
    plan(capsys, path)
    assert f"uses the space {OLD[:12]}; no migration" in run(capsys, "status", path)[1]
    for option, way in (("ridge of queries", "ridge of queries"), ("re-embed", "both encoders")):
        out = run(capsys, "apply", path, folder, new, "--option", option)[1]
        assert f"From {OLD[:12]} to {NEW[:12]} through {way}; serving since" in out
        assert OLD not in out + run(capsys, "status", path)[1]
        assert "Bridge(" not in out
        assert run(capsys, "rollback", path)[1] == f"{path} uses the space {OLD[:12]} again\n"
    assert json.loads(run(capsys, "apply", path, folder, "--option", "ridge of items", "--json")[1])["new"] == NEW


def test_an_unknown_option_lists_what_there_is_the_most_alike_first(long_ids, capsys):
    plan(capsys, long_ids)
    status, out, error = run(capsys, "apply", long_ids, long_ids.parent / "plan", "--option", "Ridge of querys")
    head, *ways, last = error.splitlines()
    assert (status, out) == (2, "")
    assert head.split() == ["option", "keeps", "at", "least", "encoder", "calls"]
    assert ways[0].startswith("ridge of queries ")
    assert ways[1].startswith("ridge of items ")
    assert {w.partition("  ")[0] for w in ways} >= {"re-embed", "50% random, rest both encoders"}
    assert not any(w.startswith(("keep", "top ")) for w in ways)  # which nobody can apply
    assert last.endswith("has no option 'Ridge of querys'; the nearest is --option 'ridge of queries'")


@pytest.fixture
def four(long_ids, capsys):
    """A plan of four directions."""
    plan(capsys, long_ids, "--group", "thing")
    found = Plan.load(long_ids.parent / "plan")
    assert len(found.directions) == 4
    return found


@pytest.mark.parametrize("width", [80, 100, 120, 140, 160, 250])
def test_a_plan_is_folded_to_the_width_of_the_terminal_and_loses_no_option(four, width):
    lines = folded(four, width)
    assert max(map(len, lines)) <= width
    every = any(all(d in line for d in four.directions) for line in lines)
    for option in four.options:
        (first, *more) = [line for line in lines if line[2:].startswith(f"{option.name}  ")]
        assert len(more) <= 1
        assert f" {option.cost.encoder_calls:,} " in [first, *more][-1]  # costs are in the same row, or in the second
    assert any("shows what is kept in every direction" in line for line in lines) == (not every)
    assert any("kept at least in" in line for line in lines) == (not every)
    if width == 250:
        assert set(table(four)) <= set(lines)
    assert every or width < 160
    assert not every or width > 80


def test_in_a_pipe_a_plan_is_printed_as_it_is(four):
    assert shown(four) == str(four)


PYTHON = re.compile(r"\w\(\)|=True|\w+=\.\.\.|\b[a-z]+_[a-z]+\(|\bBridge\b|\bMetric\b|[0-9a-f]{32}")


def test_errors_name_options_and_commands(long_ids, capsys, tmp_path):
    path, new, folder = long_ids, long_ids.parent / "new", long_ids.parent / "plan"
    for name, columns in (("good", ["text", "relevant"]), ("bad", ["name"])):
        with open(tmp_path / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([columns, *([i] * len(columns) for i in range(40))])
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    seen = []

    def said(*arguments):
        status, _, error = run(capsys, *arguments)
        assert status == 2, arguments
        seen.append(error.splitlines()[-1])
        return seen[-1]

    assert "--items must be a whole number" in said("plan", path, new, "--items", "0")
    assert "give more of --items, or more in --probes" in said("plan", path, new, "--items", "5")
    assert "--keep must lie" in said("plan", path, new, "--keep", "3")
    assert "--share must lie" in said("plan", path, new, "--share", "2")
    assert "--seed must not" in said("plan", path, new, "--seed", "-1")
    assert "no --bridge named 'foo'" in said("plan", path, new, "--bridge", "foo")
    assert "no --metric named 'foo'" in said("plan", path, new, "--metric", "foo")
    assert "--metric 'median_rank' does not do" in said("plan", path, new, "--metric", "median_rank")
    assert "--group: " in said("plan", path, new, "--group", "foo")
    assert "which --relevant names; it has name" in said("plan", path, new, "--queries", bad)
    assert "which --column text=foo names" in said("plan", path, new, "--probes", good, "--column", "text=foo")
    assert "--queries has no column of a modality" in said("plan", path, new, "-q", bad, "--relevant", "name")
    assert "but --probes has no column 'id'" in said("plan", path, new, "--probes", good, "--queries", good)
    assert "with --column modality=column" in said("plan", path, new, "--probes", bad)
    assert "--column names the unknown modality" in said("plan", path, new, "-p", bad, "-c", "audio=name")
    assert "`commonspace add" in said("plan", path.parent / "none.cs", new)
    for verb in ("finish", "rollback"):
        assert f"`commonspace upgrade plan {path} SPACE` plans one" in said(verb, path)
    assert "--share must be above 0" in said("backfill", path, "--share", "7")
    assert "as in --modality text" in said("backfill", path, "--column", "thing")
    assert "Name one with --column" in said("backfill", path, "--column", "foo", "--modality", "text")
    assert "--on-error must" in said("backfill", path, "--on-error", "x")
    assert "say with --from which space" in said("cutoff", path, "0.6", "--queries", good)
    plan(capsys, path)
    assert "name its folder after that of the plan" in said("apply", path, folder, "--option", "re-embed")
    run(capsys, "apply", path, folder, new, "--option", "ridge of items")
    commands = [f"`commonspace upgrade {verb} {path}`" for verb in ("finish", "rollback")]
    assert " or ".join(commands) in said("apply", path, folder, "--option", "re-embed")
    assert " or ".join(commands) in said("plan", path, new)
    assert f"`commonspace upgrade backfill {path}` encodes" in said("finish", path)
    assert "--precision must lie" in said("cutoff", path, "0.6", "-q", good, "--precision", "3")
    assert "which --relevant names" in said("cutoff", path, "0.6", "-q", good, "--relevant", "foo")
    with Collection.open(path) as c:
        c.add([{"id": 100, "text": "100"}], progress=False)
    rollback = said("rollback", path)
    assert "--leave goes back all the same" in rollback
    assert f"In Python backfill(modality, space_id='{OLD}', vectors=...)" in rollback
    for error in seen:
        plain = re.sub(r"[Ii]n Python backfill\([^)]*\)", "", error).replace(str(path), "").replace(str(tmp_path), "")
        assert not PYTHON.search(plain), error


def test_what_says_nothing_of_python_is_left_as_it_is(tmp_path):
    said = "items have no vector of the space new yet: keep the rest, share it, and mind the precision"
    assert spoken(said, tmp_path) == said


def test_a_cutoff_goes_over_by_a_command(long_ids, capsys, tmp_path):
    path = long_ids
    plan(capsys, path)
    run(capsys, "apply", path, path.parent / "plan", path.parent / "new", "--option", "ridge of items")
    with open(tmp_path / "q.csv", "w", newline="") as file:
        csv.writer(file).writerows([["text", "right"], *([i, i] for i in range(40))])
    status, out, _ = run(capsys, "cutoff", path, "0.7", "--queries", tmp_path / "q.csv", "-k", "5")
    assert status == 0
    with Collection.open(path) as c:
        known = c.migrate_cutoff(0.7, [str(i) for i in range(40)], k=5)
    assert out == f"{known}\n"
    with Collection.open(path) as c:
        c.add([{"id": 100, "text": "100"}], progress=False)
    last = run(capsys, "cutoff", path, "0.7", "--queries", tmp_path / "q.csv", "-k", "5")[1].splitlines()[-1]
    assert last.endswith(f"have no vector of the space {OLD[:12]} and take no part: 1")
    arguments = ("cutoff", path, "0.7", "-q", tmp_path / "q.csv", "--relevant", "right", "--from", OLD[:4])
    found = json.loads(run(capsys, *arguments, "-k", "5", "--json")[1])
    assert (found["by"], found["old"]) == ("precision", 0.7)
