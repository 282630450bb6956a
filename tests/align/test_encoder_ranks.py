from __future__ import annotations

import numpy as np
import pytest

from commonspace.align.encoder_ranks import rank_encoders
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import linear_cka


def encoders(n: int = 300) -> dict[str, dict[str, np.ndarray]]:
    """Encoders of one hidden vector with more and more of their own noise."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 10))

    def encoder(noise: float, dim: int) -> np.ndarray:
        return hidden @ rng.normal(size=(10, dim)) + noise * np.sqrt(10) * rng.normal(size=(n, dim))

    return {
        "image": {"sharp": encoder(0.1, 30), "blurred": encoder(3.0, 30)},
        "text": {"words": encoder(0.1, 40), "noise": rng.normal(size=(n, 500))},
    }


def test_pairs_that_share_more_come_first() -> None:
    ranked = rank_encoders(encoders())
    assert [r.encoders for r in ranked[:2]] == [("sharp", "words"), ("blurred", "words")]
    assert ranked[0].low > ranked[1].high


def test_a_wide_encoder_of_noise_gains_nothing_from_its_width() -> None:
    noise = [r for r in rank_encoders(encoders()) if r.encoders[1] == "noise"]
    assert all(r.low < 0.05 and abs(r.cka) < 0.1 for r in noise)


def test_the_figure_is_the_debiased_cka_of_the_probe_items_as_unit_rows() -> None:
    features = encoders(50)
    found = next(r for r in rank_encoders(features) if r.encoders == ("sharp", "words"))
    sides = unit(features["image"]["sharp"]), unit(features["text"]["words"])
    expected = linear_cka(*sides, debiased=True)
    assert found.cka == pytest.approx(expected, rel=1e-6)
    assert found.n == 50


def test_the_length_of_a_vector_has_no_say() -> None:
    features = encoders(60)
    longer = {m: {e: X * np.geomspace(1e-3, 1e3, 60)[:, None] for e, X in v.items()} for m, v in features.items()}
    for one, other in zip(rank_encoders(features), rank_encoders(longer), strict=True):
        assert one.cka == pytest.approx(other.cka, abs=1e-5)


def test_the_interval_covers_the_figure_of_many_items_nearly_always() -> None:
    features = {m: {e: v[e] for e in ("sharp", "words") if e in v} for m, v in encoders(6000).items()}
    (truth,) = rank_encoders(features, probe=6000)
    few = [rank_encoders(features, probe=150, random_state=s)[0] for s in range(20)]
    assert {r.n for r in few} == {150}
    assert sum(r.low < truth.cka < r.high for r in few) >= 17


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"a": {"x": np.ones((30, 2))}}, "two modalities"),
        ({"a": {"x": np.ones((30, 2))}, "b": {"y": np.ones((29, 2))}}, "same items"),
        ({"a": {"x": np.ones((5, 2))}, "b": {"y": np.ones((5, 2))}}, "too few"),
        ({"a": {"x": np.full((30, 2), np.nan)}, "b": {"y": np.ones((30, 2))}}, r"features\['a'\]\['x'\]"),
    ],
)
def test_bad_input_is_named(features: dict[str, dict[str, np.ndarray]], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        rank_encoders(features)


def test_a_modality_without_an_encoder_is_refused() -> None:
    with pytest.raises(BadInput, match="holds no encoder"):
        rank_encoders({"a": {"x": np.eye(30)}, "b": {}})
