"""A collection agrees with a dictionary after every operation, whatever is done to it and whenever it is killed.

COMMONSPACE_MODEL=<n> runs n examples instead of a few; COMMONSPACE_MODEL_SEED=<seed> repeats a run. A failure names a
file of operations for `tests.model.replay`.
"""

from __future__ import annotations

import os
import random
import tempfile
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.fake_space import FakeSpace
from tests.model import operations as ops
from tests.model.execution import CHILDREN, fake_spaces
from tests.model.replay import Run

from commonspace import Collection

EXAMPLES = int(os.environ.get("COMMONSPACE_MODEL", 0))
SEED = int(os.environ.get("COMMONSPACE_MODEL_SEED", random.randrange(2**32) if EXAMPLES else 0))
# ---------------------------------------------------------------- what operations are made of

ID = st.integers(0, 12)
CELLS = {
    "text": st.sampled_from(["red car", "small dog", "trash bin", "bin", "red", None, None, ops.UNREADABLE]),
    "image": st.sampled_from([*range(6), None, None]),
    "n": st.sampled_from([*range(-3, 4), None]),
    "w": st.sampled_from(["", "a", "it's", "Ü", None]),
    "x": st.sampled_from([-0.5, 0.0, 2.25, None]),
}
FIELD = st.sampled_from(sorted(ops.FIELDS))
NAME = st.sampled_from(["first", "second"])
KEY = st.sampled_from([None, None, "k1", "k2"])
STEP = st.integers(0, 30) | st.integers(30, 200) | st.integers(200, 500)
OFTEN = st.sampled_from([True, True, True, False])
OPTIONS = {
    "key": KEY,
    "given": st.booleans(),
    "new_fields": OFTEN,
    "on_error": st.sampled_from(["raise", "skip", "skip"]),
}


SOME = st.lists(st.sampled_from(sorted(CELLS)), unique=True, min_size=1)


@st.composite
def batches(draw, columns=SOME):
    n = draw(st.integers(1, 5))
    ids = draw(st.lists(ID, min_size=n, max_size=n, unique=draw(OFTEN)))
    return {"id": ids} | {c: [draw(CELLS[c]) for _ in ids] for c in draw(columns)}


COMPARISON = st.one_of(
    st.tuples(st.sampled_from(["=", "<", ">", "<>"]), st.just("n"), st.integers(-3, 3)),
    st.tuples(st.sampled_from(["=", "<", ">", "<>"]), st.just("id"), ID),
    st.tuples(st.sampled_from(["=", "<>"]), st.just("w"), st.sampled_from(["a", "it's", "Ü"])),
    st.tuples(st.just(">"), st.just("x"), st.sampled_from([-0.5, 1.5])),
    st.tuples(st.just("in"), st.just("id"), st.lists(ID, min_size=1, max_size=3)),
    st.tuples(st.just("null"), FIELD),
).map(list)
WHERE = st.recursive(
    COMPARISON,
    lambda part: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), part, part).map(list), st.tuples(st.just("not"), part).map(list)
    ),
    max_leaves=3,
)
VALUES = FIELD.flatmap(lambda f: st.fixed_dictionaries({f: CELLS[f]}))
QUERY = st.fixed_dictionaries(
    {}, optional={"text": st.sampled_from(["red car", "small red bin"]), "image": st.integers(0, 9)}
).filter(bool)

# Streams under a key are always the same, so that one that was cut off can be taken up.
STREAMS = [
    ops.AddStream(
        {"id": [20, 21, 22, 23, 24], "text": ["red", "bin", None, "", "red car"], "n": [1, 2, None, 3, 4]},
        key="s1", new_fields=True, on_error="skip",
    ),
    ops.AddStream(
        {"id": [25, 26, 27], "image": [4, None, 5], "x": [0.5, None, 1.5]}, key="s2", given=True, new_fields=True
    ),
]  # fmt: skip
STREAM = st.builds(ops.AddStream, batches(), **(OPTIONS | {"key": st.none()})) | st.sampled_from(STREAMS)
PUT = st.one_of(*(st.builds(kind, batches(), **OPTIONS) for kind in (ops.Add, ops.Upsert)), STREAM)
SPACE = st.sampled_from(ops.SPACES)
CHANGE = st.one_of(
    st.builds(ops.Backfill, st.sampled_from(ops.MODALITIES), SPACE),
    st.builds(ops.DropVectors, st.sampled_from(ops.MODALITIES), SPACE),
    st.builds(ops.UseSpace, SPACE),
    st.builds(ops.DeleteWhere, WHERE),
    st.builds(ops.Delete, st.lists(ID, min_size=1, max_size=4)),
    st.builds(ops.Update, VALUES, WHERE),
    st.builds(ops.AddField, FIELD),
    st.builds(ops.DropField, FIELD),
)
MIGRATE = st.one_of(
    st.builds(ops.Apply, st.sampled_from(ops.WAYS), SPACE),
    st.builds(ops.Backfill, st.sampled_from(ops.MODALITIES), SPACE),
    st.builds(ops.Finish, drop_old=st.booleans(), leave=OFTEN),
    st.builds(ops.RollBack, drop_new=st.booleans(), leave=OFTEN),
)
KEEP = st.one_of(
    st.builds(ops.Compact),
    st.builds(ops.CleanUp),
    st.builds(ops.Tag, NAME),
    st.builds(ops.Untag, NAME),
    st.builds(ops.Restore, NAME),
)
WRITE = st.one_of(PUT, PUT, CHANGE, MIGRATE, KEEP)
REOPEN = st.one_of(
    st.builds(ops.Reopen, st.sampled_from(["full", "batch", "os"])),
    st.builds(ops.Snapshot, st.booleans(), st.booleans()),
    st.builds(ops.Export, st.booleans()),
)
READ = st.one_of(
    st.builds(ops.Count, WHERE),
    st.builds(ops.Get, st.lists(ID, max_size=4), st.sampled_from(["raise", "skip"])),
    st.builds(ops.Search, QUERY, st.integers(1, 20), st.none() | WHERE, st.sampled_from([None, *ops.MODALITIES])),
)

# ---------------------------------------------------------------- the machines


class Machine(RuleBasedStateMachine):
    """What is done in every way of running."""

    def __init__(self):
        super().__init__()
        self.run = Run(Path(tempfile.mkdtemp(prefix="commonspace-model-")))

    def do(self, operation):
        stream = getattr(operation, "operation", operation)
        if getattr(stream, "key", None) in self.run.oracle.strange_streams:
            return  # whose chunks are of two spaces by now; which of them is for no dictionary to say
        try:
            self.run.do(operation)
        except Exception as e:
            file = Path(tempfile.gettempdir()) / f"commonspace-{type(self).__name__}-{SEED}.jsonl"
            ops.write(file, self.run.journal)
            e.add_note(f"seed {SEED} (COMMONSPACE_MODEL_SEED); see it again: python -m tests.model.replay {file}")
            raise

    def fresh(self, operation):
        """Give an add ids that are not stored, so that it is not refused as most others would be."""
        if not isinstance(operation, ops.Add | ops.AddStream) or operation in STREAMS:
            return operation
        free = (i for i in count() if i not in self.run.oracle.now.items)
        return replace(operation, batch=operation.batch | {"id": [next(free) for _ in operation.batch["id"]]})

    @initialize(batch=st.none() | batches(), way=st.sampled_from([None, *ops.WAYS]))
    def begin(self, batch, way):
        """Have some items, or nothing at all, perhaps on the way to another space."""
        if batch is not None:
            self.do(self.fresh(ops.Add(batch, on_error="skip")))
        if way is not None:
            self.do(ops.Apply(way, ops.SPACES[1]))

    @rule(operation=PUT, fresh=OFTEN)
    def put(self, operation, fresh):
        self.do(self.fresh(operation) if fresh else operation)

    @rule(operation=CHANGE)
    def change(self, operation):
        self.do(operation)

    @rule(operation=MIGRATE)
    def migrate(self, operation):
        self.do(operation)

    def teardown(self):
        self.run.close()


class InProcess(Machine):
    """Calls that end by themselves or by Ctrl-C."""

    @rule(operation=PUT, step=STEP)
    def interrupt_put(self, operation, step):
        self.do(ops.Interrupted(self.fresh(operation), step))

    @rule(operation=WRITE, step=STEP)
    def interrupt(self, operation, step):
        self.do(ops.Interrupted(self.fresh(operation), step))

    @rule(operation=READ | KEEP | REOPEN)
    def other(self, operation):
        self.do(operation)


class WithKills(Machine):
    """Calls in a process that is killed on the way."""

    MOMENT = {
        "step": st.integers(0, 250),
        "microseconds": st.sampled_from([0, 0, 50, 200, 1000]),
        "beside": st.booleans(),
    }

    @rule(operation=PUT, **MOMENT)
    def kill_put(self, operation, **moment):
        self.do(ops.Killed(self.fresh(operation), **moment))

    @rule(operation=WRITE, **MOMENT)
    def kill(self, operation, **moment):
        self.do(ops.Killed(self.fresh(operation), **moment))


def explore(machine, *, examples, steps):
    print(f"seed {SEED}")
    phases = [Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate]
    run_state_machine_as_test(
        seed(SEED)(machine),
        settings=settings(
            max_examples=EXAMPLES or examples, stateful_step_count=steps, deadline=None, database=None, phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def spaces():
    with fake_spaces():
        yield


def test_a_collection_agrees_with_a_dictionary_after_every_operation():
    explore(InProcess, examples=40, steps=12)


def test_a_killed_process_leaves_the_state_before_its_operation_or_after_it():
    try:
        explore(WithKills, examples=3, steps=20)
    finally:
        CHILDREN.close()


def test_an_upsert_leaves_no_vector_of_what_an_item_was_before(tmp_path):
    with Collection.create(tmp_path / "c.cs", FakeSpace("fake0001")) as c:
        c.add([{"id": 1, "text": "red car"}], keep="text")
        c.backfill("text", space=FakeSpace("fake0002"), progress=False)
        c.upsert([{"id": 1, "text": "small dog"}])
        assert c.vectors("text", space_id="fake0002")[0] == []
