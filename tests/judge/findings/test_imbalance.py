import numpy as np

from commonspace.judge import Subject


def test_modalities_in_one_cloud_are_balanced_and_two_cones_are_not(look):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 300, 8))
    assert look("imbalance", Subject({"a": x, "b": y}))["a+b"].score > 0.8
    away = 4 * np.eye(8)[0]
    found = look("imbalance", Subject({"a": x + away, "b": y - away}))["a+b"]
    assert found.score < 0.05
    assert found.flag


def test_a_small_modality_is_judged_by_its_share_of_the_index(look):
    rng = np.random.default_rng(0)
    found = look("imbalance", Subject({"a": rng.normal(size=(600, 8)), "b": rng.normal(size=(60, 8))}))["a+b"]
    assert not found.flag
    assert set(found.evidence) == {f"lift, {a} finds {b}" for a in "ab" for b in "ab"}


def test_a_handful_of_rows_is_not_judged(look):
    assert look("imbalance", Subject({"a": np.eye(5), "b": np.eye(5)})) == {}
