import numpy as np

from commonspace.core.registry import entries

NEEDS_MORE = {"retrofit": "learns from a graph, not from pairs"}
WITHIN_ONE_SPACE = ("all-but-the-top", "centring", "whitening")  # both sides have the same columns


def test_every_map_of_two_sides_is_used_in_the_same_way():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 5))
    for entry in entries("Map"):
        if entry.name in NEEDS_MORE:
            continue
        if entry.name in WITHIN_ONE_SPACE:
            y = rng.normal(size=(40, 6))
        m = entry.cls().fit(x, y)
        assert m.transform(x[:3]).shape[1] == m.transform_target(y[:3]).shape[1]
        assert m.transform(x[:0]).shape[0] == 0
