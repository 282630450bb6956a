"""Two processes that go over to another space at one instant: one of them does, the other is told."""

from contextlib import ExitStack

import pytest
from tests.planted_space import migration, old_space, saved_spaces
from tests.processes.children import Child
from tests.upgrades import check, filled, naive

from commonspace import Collection

ROUNDS = 3


@pytest.fixture(autouse=True)
def spaces():
    with saved_spaces():
        yield


def at_once(path, ways):
    """Let a process for each way apply; return what each has said."""
    with ExitStack() as stack:
        children = [Child("tests.processes.applier") for _ in ways]
        for child in children:
            stack.callback(child.kill)
        for child, carries in zip(children, ways, strict=True):
            child.tell({"path": str(path), "carries": carries})
        assert [child.hear() for child in children] == [{"ready": True}] * len(ways), children[0].errors()
        for child in children:
            child.tell({"go": True})
        return [child.hear() or child.errors() for child in children]


@pytest.mark.parametrize("ways", [("items", "queries"), ("items", None), ("queries", None)])
def test_of_two_migrations_at_one_instant_one_is_under_way_and_the_other_refused(tmp_path, ways):
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.cs"
        with Collection.create(path, old_space()) as c:
            filled(c)
            said = at_once(path, ways if number % 2 else ways[::-1])
            (won,) = [one for one in said if "phase" in one]
            (lost,) = [one["error"] for one in said if "error" in one]
            assert won["phase"] == "serving"
            assert lost.startswith("BadInput: ")
            assert "another migration cannot begin while" in lost or "somebody else has begun another" in lost
            state = c.upgrading()
            assert (state["migration"], state["phase"]) == (won["migration"], "serving")
            assert sorted(p.name for p in (path / "spaces").iterdir()) == sorted(["new", "old", won["migration"]])
            stored = {column.space for column in c._catalogue.columns()} - {"old", "new"}
            assert stored == ({won["migration"]} if c.migration.stores else set())
            for query in ({"text": "4"}, {"image": "9", "text": "12"}):
                check(c.search(query, k=9), naive(c, query), 9)
            c.backfill(progress=False)
            c.finish_upgrade(drop_old=True)
            assert c.verify(progress=False).ok


def test_two_that_carry_out_the_same_plan_at_one_instant_both_have_done_it(tmp_path):
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.cs"
        with Collection.create(path, old_space()) as c:
            filled(c)
            said = at_once(path, ("items", "items"))
            assert said == [{"phase": "serving", "migration": migration().id}] * 2
            for query in ({"text": "4"}, {"image": "9", "text": "12"}):
                check(c.search(query, k=9), naive(c, query), 9)
            assert c.roll_back_upgrade(drop_new=True, progress=False) == {}
            assert c.verify(progress=False).ok
