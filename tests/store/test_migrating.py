"""The record of a migration: which space is used, and what writes it allows."""

import pytest

from commonspace.core.errors import BadInput
from commonspace.store import migrating
from commonspace.store.catalogue import Catalogue
from commonspace.store.migrating import PREPARING, SERVING, Moved, State, state_of


@pytest.fixture
def catalogue(tmp_path):
    Catalogue.create(tmp_path / "c.sqlite", id_name="id", space="old", space_digest="0")
    found = Catalogue(tmp_path / "c.sqlite")
    yield found
    found.close()


def test_it_goes_from_the_old_space_to_the_new_and_leaves_nothing_behind(catalogue):
    assert state_of(catalogue) == State("old")
    with catalogue.writing() as ledger:
        migrating.enter(ledger, "m", "old", "new", PREPARING)
        ledger.put("spaces", ("m", "1"))
    state = state_of(catalogue)
    assert (state.space, state.underway.phase, state.serving) == ("old", PREPARING, None)
    assert state.takes("old")
    assert not state.takes("new")
    with catalogue.writing() as ledger:
        migrating.enter(ledger, "m", "old", "new", SERVING)
    catalogue.add_column("text", "m", 4)
    catalogue.add_column("text", "new", 4)
    state = state_of(catalogue)
    assert (state.space, state.serving.id) == ("new", "m")
    assert state.takes("old")  # through the bridge
    assert state.takes("new")
    assert not state.takes("m")
    with catalogue.writing() as ledger:
        migrating.leave(ledger, state.underway, "new")
    assert state_of(catalogue) == State("new")
    assert [c.space for c in catalogue.columns()] == ["new"]
    assert catalogue.spaces() == ["old"]


def test_a_transaction_that_fails_leaves_the_record_as_it_was(catalogue):
    def fails():
        with catalogue.writing() as ledger:
            migrating.enter(ledger, "m", "old", "new", SERVING)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert state_of(catalogue) == State("old")
    Catalogue(catalogue.path).close()  # of the format of before


def test_vectors_of_a_space_that_is_gone_are_not_taken(catalogue):
    migrating.check_taken(catalogue, "old")
    with catalogue.writing() as ledger:
        migrating.enter(ledger, "m", "old", "new", SERVING)
        migrating.check_taken(catalogue, "old")
        migrating.leave(ledger, state_of_written(ledger), "new")
    with pytest.raises(Moved, match="went from the space old to new"):
        migrating.check_taken(catalogue, "old")


def state_of_written(ledger):
    return migrating.record_of(ledger.rows("meta"))


def test_what_would_cross_a_migration_is_refused_with_the_way_out(catalogue):
    migrating.refuse_underway(catalogue, "nothing")
    with catalogue.writing() as ledger:
        migrating.enter(ledger, "m", "old", "new", PREPARING)
    with pytest.raises(BadInput, match=r"that cannot be done while .* goes from the space old to new: call finish"):
        migrating.refuse_underway(catalogue, "that cannot be done")


def test_a_saved_migration_is_known_by_its_seal(tmp_path):
    from commonspace.store.sealed import write_sealed
    from commonspace.upgrade.migration import Migration

    one = Migration("old", "new", 4)
    one.save(tmp_path / one.id)
    assert migrating.saved_migration(tmp_path / one.id) == ("old", "new")
    one.save(tmp_path / "other")  # under a name that is not its own
    assert migrating.saved_migration(tmp_path / "other") is None
    write_sealed(tmp_path / "space", {"id": "space", "kind": "space"}, {})
    assert migrating.saved_migration(tmp_path / "space") is None
    assert migrating.saved_migration(tmp_path / "nothing") is None
    (tmp_path / one.id / "config.json").write_text("{}")
    assert migrating.saved_migration(tmp_path / one.id) is None
    migrating.remove_saved(tmp_path, one.id)  # that there is nothing to remove is no error
