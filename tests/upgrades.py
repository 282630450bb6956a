"""A collection that goes from one space to another, and a naive loop that says what a search must find."""

import numpy as np
from tests.planted_space import migration, new_space, old_space

from commonspace.core.vectors import unit
from commonspace.search.csls import CSLS

WAYS = ("items", "queries", None)
N = 60


def rows(ids):
    """Every third thing has only a text, every third only an image."""
    return [
        {"id": i, "text": None if i % 3 == 1 else str(i), "image": None if i % 3 == 2 else str(i), "n": i % 7}
        for i in ids
    ]


def filled(c, n=N, parts=3, keep=("text", "image")):
    for part in np.array_split(np.arange(n), parts):
        c.add(rows(part.tolist()), keep=keep, progress=False)
    c.delete([5])
    return c


def upgraded(c, carries="items", **options):
    filled(c, **options)
    c.apply(migration(carries), new_space(), progress=False)
    return c


def naive(c, query, against=("text", "image"), weights=None, hubs=False, where=lambda id: True):
    """Score every item on its own, by the plain arrays: its new vector, or else its old one through the bridge."""
    m, old, new = c.migration, old_space(), new_space()
    weights = weights or {}
    stored = {
        (s, a): dict(zip(*c.vectors(a, space_id=s), strict=True)) for s in ("old", "new") for a in against
        if a in c.spaces()[s]
    }  # fmt: skip

    def summed(vectors):
        return unit(np.sum([weights.get(p, 1.0) * unit(v[None])[0] for p, v in vectors.items()], axis=0)[None])[0]

    bridge = m.bridge
    parts = {p: x if p == "vector" else new.encode([x], p)[0] for p, x in query.items()}
    q = summed(parts)
    if bridge is None:
        back = summed({p: old.encode([x], p)[0] for p, x in query.items()})
    elif bridge.carries == "queries":
        back = summed({p: bridge.carry(v[None], None if p == "vector" else p)[0] for p, v in parts.items()})
    else:
        back = q
    asks = next(iter(query)) if len(query) == 1 and "vector" not in query else None
    banks = {p: new.bank(p) for p in query if p != "vector"} if hubs else {}
    over = {
        p: old.bank(p) if bridge is None else b if bridge.carries == "items" else bridge.carry(b, p)
        for p, b in banks.items()
    }

    def off(x, banks):
        return np.mean([CSLS().fit(b).offsets(x[None])[0] for b in banks.values()]) if hubs else 0.0

    scores = {}
    for a in against:
        scale = m.scale(asks, a, back, q)
        for id in {*stored.get(("old", a), {}), *stored.get(("new", a), {})}:
            if not where(id):
                continue
            if id in stored.get(("new", a), {}):
                x = stored["new", a][id]
                s = x @ q - off(x, banks)
            else:
                x = stored["old", a][id]
                if bridge is not None and bridge.carries == "items":
                    x = bridge.carry(x[None], a)[0]
                # The offset is half of a mean cosine, and half of what that is on the new scale is taken off.
                s = scale(x @ back) - (scale(2 * off(x, over)) / 2 if hubs else 0)
            scores[id] = max(scores.get(id, -9), float(s))
    return scores


def check(hits, scores, k):
    best = sorted(scores, key=lambda id: (-scores[id], id))[:k]
    np.testing.assert_allclose(hits.scores, [scores[i] for i in best], atol=2e-5)
    assert [round(scores[i], 4) for i in hits.ids] == [round(scores[i], 4) for i in best]
