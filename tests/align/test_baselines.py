from __future__ import annotations

import numpy as np
import pytest
from tests.align.conftest import two_views

from commonspace.align.baselines import SystemTable, compare_baselines
from commonspace.align.data import PairData
from commonspace.align.fit import fit_heads
from commonspace.align.forward import Layer, NumpyHead
from commonspace.align.standard import MOST_DIM
from commonspace.core.errors import BadInput


def rotated(n: int, seed: int) -> dict[str, np.ndarray]:
    """Two spaces that are one up to a rotation: every closed-form map must find it."""
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(12, 12)))[0]
    X = np.random.default_rng(seed).normal(size=(n, 12))
    return {"a": X, "b": X @ turn}


def guess(d_in: int) -> NumpyHead:
    layers = [Layer("linear", {"weight": np.eye(12, d_in, dtype=np.float32)}), Layer("normalise")]
    return NumpyHead(layers, d_in=d_in, dim=12)


def report_of(training: dict[str, np.ndarray], valid: dict[str, np.ndarray], **kwargs: object) -> SystemTable:
    heads = {m: guess(v.shape[1]) for m, v in training.items()}
    return compare_baselines(PairData.check(training), PairData.check(valid, **kwargs), heads)  # type: ignore[arg-type]


def test_every_map_solves_a_rotation_that_untrained_heads_do_not() -> None:
    report = report_of(rotated(300, 0), rotated(60, 1))
    for direction in ("a->b", "b->a"):
        for system in ("cca", "ridge", "procrustes"):
            assert report.figures[system, direction, "recall@1"].value > 0.95
        assert report.figures["heads", direction, "recall@1"].value < 0.3


def test_what_was_picked_is_reported() -> None:
    report = report_of(rotated(300, 0), rotated(60, 1))
    assert set(report.chosen["cca", "a->b"]) == {"reg", "power"}
    assert set(report.chosen["procrustes", "b->a"]) == {"k"}


def test_validation_pairs_do_not_move_the_choice_or_the_map() -> None:
    one, other = report_of(rotated(200, 0), rotated(60, 1)), report_of(rotated(200, 0), rotated(60, 2))
    assert one.chosen == other.chosen


def test_missing_modalities_and_groups_decide_who_is_asked_and_what_is_found() -> None:
    training, valid = rotated(200, 0), rotated(40, 1)
    report = report_of(training, valid, present={"b": np.arange(40) < 30}, groups=np.arange(40) // 2)
    assert report.figures["cca", "a->b", "mrr"].n == 30
    assert report.figures["cca", "a->b", "mrr"].skipped == 10


def test_very_wide_inputs_are_cut_to_their_principal_directions() -> None:
    def wide(X: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        glass = np.random.default_rng(5).normal(size=(12, MOST_DIM + 5))
        return {**X, "a": X["a"] @ glass}

    report = report_of(wide(rotated(200, 0)), wide(rotated(40, 1)))
    assert report.figures["cca", "a->b", "recall@1"].value > 0.9


def test_the_report_prints_as_a_table_with_intervals() -> None:
    text = str(report_of(rotated(100, 0), rotated(30, 1)))
    assert "procrustes" in text
    assert "heads" in text
    assert text.count("[") >= 8 * 3


def test_fit_reports_heads_beside_the_maps() -> None:
    fitted = fit_heads(two_views(200), dim=16, epochs=3, head={"name": "mlp", "hidden": 32}, batch_size=64)
    assert {r["system"] for r in fitted.baselines.rows()} == {"heads", "cca", "ridge", "procrustes"}
    heads = fitted.baselines.figures["heads", "a->b", "mrr"]
    assert heads.value == pytest.approx(fitted.valid_metrics["a->b mrr"], abs=1e-3)
    assert heads.low <= heads.value <= heads.high


def test_without_baselines_the_heads_are_still_measured() -> None:
    fitted = fit_heads(two_views(100), dim=16, epochs=1, head="linear", baselines=())
    assert {r["system"] for r in fitted.baselines.rows()} == {"heads"}


def test_an_unknown_baseline_is_refused() -> None:
    data = PairData.check(rotated(20, 0))
    with pytest.raises(BadInput, match="no baseline magic"):
        compare_baselines(data, data, {m: guess(12) for m in "ab"}, systems=["magic"])
