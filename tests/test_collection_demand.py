"""How often items were found: counted by each process, added up, never in the way."""

from commonspace.collection import demand
from commonspace.collection.demand import Demand


def test_counts_of_all_objects_are_added_up(tmp_path):
    one, other = Demand(tmp_path), Demand(tmp_path)
    one.count("m", [["a", "b"], ["a"]])
    other.count("m", [["a", 7]])
    assert one.total("m") == {"a": 2, "b": 1}
    other.save()
    assert one.total("m") == {"a": 3, "b": 1, 7: 1}
    one.count("m", [["b"]])
    assert one.total("m")["b"] == 2
    assert one.total("another") == {}


def test_another_migration_begins_anew(tmp_path):
    one = Demand(tmp_path)
    one.count("m", [["a"]])
    one.count("n", [["b"]])
    assert one.total("n") == {"b": 1}
    one.forget()
    assert one.total("n") == {}
    assert not (tmp_path / "demand").exists()


def test_what_cannot_be_written_or_read_is_passed_over(tmp_path):
    one = Demand(tmp_path)
    one.count("m", [["a"]])
    one.save()
    (tmp_path / "demand" / "m" / "torn.json").write_text('[["a", 3')
    (tmp_path / "demand" / "m" / "odd.json").write_text('{"a": 3}')
    assert one.total("m") == {"a": 1}
    (tmp_path / "sub").write_text("a file where the folder would be")
    blocked = Demand(tmp_path / "sub")
    blocked.count("m", [["a"]])
    blocked.save()


def test_memory_is_bounded_and_the_most_wanted_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(demand, "_MOST", 10)
    one = Demand(tmp_path)
    one.count("m", [["wanted"] for _ in range(5)])
    one.count("m", [[i] for i in range(100)])
    assert len(one.total("m")) <= 10
    assert one.total("m").most_common(1) == [("wanted", 5)]
    assert len(one._counts) <= 20


def test_counts_are_written_after_so_many_searches(tmp_path, monkeypatch):
    monkeypatch.setattr(demand, "_SEARCHES", 3)
    one = Demand(tmp_path)
    one.count("m", [["a"], ["a"]])
    assert not list(tmp_path.rglob("*.json"))
    one.count("m", [["a"]])
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_counts_of_a_migration_that_has_ended_do_not_come_back(tmp_path):
    """Neither where it ended before they are written, nor where it ends while they are."""
    ended = set()
    one = Demand(tmp_path, lambda migration: migration not in ended)
    one.count("m", [["a"]])
    ended.add("m")
    one.save()
    assert not (tmp_path / "demand").exists()

    said = iter([True, False])  # it ends between the look before the writing and that after it
    other = Demand(tmp_path, lambda migration: next(said))
    other.count("n", [["b"]])
    other.save()
    assert next(said, None) is None
    assert not (tmp_path / "demand").exists()
