from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from commonspace.align.samplers.cluster import Cluster
from commonspace.align.samplers.of_rows import of_rows

KINDS = np.arange(10) * 10
LEFT = np.array([0, 3, 4, 9])


@pytest.mark.parametrize("kinds", [KINDS, KINDS.tolist()])
def test_what_is_said_of_rows_follows_those_that_are_left(kinds: Any) -> None:
    assert of_rows({"name": "cluster", "clusters": kinds, "whole": 1}, LEFT)["clusters"].tolist() == [0, 30, 40, 90]
    mine = Cluster(batch_size=2, clusters=kinds)
    assert of_rows(mine, LEFT).clusters.tolist() == [0, 30, 40, 90]
    assert mine.clusters is kinds


def test_what_is_not_of_rows_stays() -> None:
    assert of_rows("uniform", LEFT) == "uniform"
    assert of_rows({"name": "cluster", "clusters": 7}, LEFT) == {"name": "cluster", "clusters": 7}
    short = {"name": "cluster", "clusters": KINDS[:5]}
    assert of_rows(short, LEFT) == short  # the sampler refuses it


def test_nothing_is_copied_where_all_rows_are_left() -> None:
    mine = Cluster(clusters=KINDS)
    assert of_rows(mine, np.arange(10)) is mine
