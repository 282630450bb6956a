"""Whoever is killed on the way from one space to another leaves a collection that answers, and can go on.

Each of the four verbs is killed at steps spread over all that it does. What is left must be a state that was committed:
searches by the old space as before, or by both sides as a loop over the plain arrays says, or by the new space alone.
Then the verb is called again and must end where it would have ended. COMMONSPACE_KILLS=<n> kills n times.
"""

import os
import shutil

import numpy as np
import pytest
from tests.kill.upgrader import act
from tests.planted_space import migration, new_space, old_space, saved_spaces
from tests.processes.children import Nursery
from tests.upgrades import WAYS, check, filled, naive, rows

from commonspace import Collection

KILLS = int(os.environ.get("COMMONSPACE_KILLS", 12))
SEED = int(os.environ.get("COMMONSPACE_KILLS_SEED", 0))
VERBS = ("apply", "backfill", "finish", "rollback")
ASKED = [{"text": "4"}, {"image": "9"}, {"text": "1000"}]


@pytest.fixture(autouse=True)
def spaces():
    with saved_spaces():
        yield


def prepared(path, verb, carries):
    """Make the collection that a verb begins with, and return what the old space alone answers in it."""
    with Collection.create(path, old_space(), durability="os") as c:
        filled(c, n=30, parts=2)
        if verb == "apply":
            return answers(c)
        c.apply(migration(carries), new_space(), progress=False)
        c.add(rows([1000]), keep=("text", "image"), progress=False)
        if verb == "finish":
            c.backfill(progress=False)
        if verb == "rollback":
            c.backfill(share=0.3, progress=False)
    return None


def answers(c):
    return [[(h.id, round(h.score, 4)) for h in hits] for hits in c.search_many(ASKED, k=9)]


def answers_right(c, before):
    """Compare what a collection answers with what its state demands."""
    state = c.upgrading()
    if state is None or state["phase"] == "preparing":
        if c.space.id == "old" and before is not None:
            assert answers(c) == before
        for query, hits in zip(ASKED, c.search_many(ASKED, k=9), strict=True):
            alone = alone_by(c, query)
            np.testing.assert_allclose(hits.scores, sorted(alone.values())[:-10:-1], atol=2e-5)
    else:
        for query, hits in zip(ASKED, c.search_many(ASKED, k=9), strict=True):
            check(hits, naive(c, query), 9)
    assert len(c) == len({h.id for h in c.search(text="4", k=99)}), "an item is not found any more"


def alone_by(c, query):
    """Score every item by the one space that is in use."""
    q = np.mean([c.space.encode([x], m)[0] for m, x in query.items()], axis=0)
    scores = {}
    for m in ("text", "image"):
        for id, x in zip(*c.vectors(m), strict=True):
            scores[id] = max(scores.get(id, -9), float(x @ q))
    return scores


def ended(c, verb):
    state = c.upgrading()
    match verb:
        case "apply":
            return state is not None and state["phase"] == "serving"
        case "backfill":
            return state is not None and all(m["bridged"] == 0 for m in state["modalities"].values())
        case "finish":
            return state is None and c.space.id == "new" and c.spaces()["old"] == {}
        case _:
            return state is None and c.space.id == "old" and c.spaces()["new"] == {}


def test_every_state_that_is_left_answers_and_goes_on(tmp_path):
    rng = np.random.default_rng(SEED)
    children = Nursery("tests.kill.upgrader")
    seen = {}
    try:
        for number in range(KILLS):
            verb, carries = VERBS[number % 4], WAYS[(number // 4) % 3]
            start = tmp_path / f"{verb} {carries}.cs"
            if not start.exists():
                before = prepared(start, verb, carries)
                steps = told(children, copied(start, tmp_path / "whole.cs"), verb, carries, -1)[-1]["steps"]
                seen[verb, carries] = before, steps
            before, steps = seen[verb, carries]
            path = copied(start, tmp_path / "c.cs")
            with Collection.open(path) as watcher:  # which is never closed, and must follow
                step = int(rng.integers(steps))
                said = told(children, path, verb, carries, step, int(rng.choice([0, 0, 200, 2000])))
                try:
                    with Collection.open(path) as c:
                        answers_right(c, before)
                        answers_right(watcher, before)
                        if not ended(c, verb):
                            act(c, verb, carries)
                        assert ended(c, verb)
                        answers_right(c, None)
                        answers_right(watcher, None)
                        c.add(rows([2000 + number]), progress=False)
                        assert c.verify(progress=False).ok
                except Exception as e:
                    e.add_note(f"kill {number} of COMMONSPACE_KILLS_SEED={SEED}: {verb} {carries} at {step}: {said}")
                    raise
    finally:
        children.close()


def copied(start, path):
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(start, path)
    return path


def told(children, path, verb, carries, step, microseconds=0):
    """Let a child do it, and die; return what it said."""
    child = children.take()
    child.tell({"path": str(path), "verb": verb, "carries": carries, "step": step, "microseconds": microseconds})
    said = []
    while (message := child.hear()) is not None:
        said.append(message)
        if "steps" in message:
            break
    child.kill()
    assert not (errors := child.errors()), errors
    return said
