import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.measure import rotation


def turn(degrees: float, dim: int, seed: int = 7) -> np.ndarray:
    """A rotation that turns every vector by the same angle: planes of a random basis."""
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]
    t, planes = np.deg2rad(degrees), np.eye(dim)
    for i in range(0, dim, 2):
        planes[i : i + 2, i : i + 2] = [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]
    return basis @ planes @ basis.T


def space(n: int = 120, dim: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    """Pairs that lie near each other."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, dim)) * np.linspace(2, 0.5, dim)
    return {m: unit(shared + 0.5 * rng.normal(size=(n, dim))) for m in ("image", "text")}


def moved(before, turns, noise: float = 0.0, seed: int = 0):
    """Every modality by its turn, every item a little by itself."""
    rng = np.random.default_rng(1000 + seed)
    return {m: unit(v @ turns[m] + noise * rng.normal(size=v.shape)) for m, v in before.items()}


def angle(a, b) -> float:
    return float(np.rad2deg(np.arccos(np.clip(a @ b, -1, 1))))


def test_a_pure_rotation_is_found_to_the_degree_and_changes_nothing_within_the_modality():
    before = space()
    found = rotation(before, moved(before, {"image": turn(20, 8), "text": turn(50, 8)}))
    for m, expected in (("image", 20), ("text", 50)):
        one = found.modalities[m]
        for figure in (one.angle, one.common):
            assert (figure.value, figure.low, figure.high) == pytest.approx((expected,) * 3, abs=0.01)
        assert one.own.value == pytest.approx(0, abs=0.1)
        assert one.topology.value == pytest.approx(0, abs=1e-3)
        assert [one.beyond[e].value for e in (15.0, 30.0)] == [1, float(expected > 30)]
    np.testing.assert_allclose(found.modalities["text"].angle.per_query, 50, atol=0.01)


def test_two_modalities_that_turn_together_do_not_deviate():
    before = space()
    found = rotation(before, moved(before, dict.fromkeys(before, turn(70, 8))))
    deviation = found.deviations["image and text"]
    assert found.modalities["image"].angle.value == pytest.approx(70, abs=0.01)
    for figure in (deviation.apart, deviation.partners, deviation.off_diagonal):
        assert figure.value == pytest.approx(0, abs=0.1)
    assert deviation.difference.difference == pytest.approx(0, abs=1e-3)


def test_turns_of_equal_size_about_other_axes_are_a_deviation_that_no_difference_of_angles_shows():
    before = space()
    turns = {"image": turn(40, 8), "text": turn(40, 8, seed=8)}
    deviation = rotation(before, moved(before, turns)).deviations["image and text"]
    rows = np.concatenate(list(before.values()))
    truth = np.mean([(x @ turns["image"]) @ (x @ turns["text"]) for x in rows])
    assert deviation.difference.difference == pytest.approx(0, abs=1e-3)
    assert deviation.apart.value == pytest.approx(np.rad2deg(np.arccos(truth)), abs=0.01)
    assert deviation.apart.value > 30
    assert deviation.partners.low > 5
    assert deviation.off_diagonal.low > 5


def test_the_figures_are_those_of_naive_loops():
    before = space(n=24)
    after = moved(before, {"image": turn(20, 8), "text": turn(30, 8)}, noise=0.2)
    groups = np.arange(24) // 2
    found = rotation(before, after, groups=groups)
    pairs = [(i, j) for i in range(24) for j in range(24) if groups[i] != groups[j]]
    x, y, x2, y2 = (v[m] for v in (before, after) for m in ("image", "text"))
    within = [abs(angle(x2[i], x2[j]) - angle(x[i], x[j])) for i, j in pairs]
    across = [abs(angle(x2[i], y2[j]) - angle(x[i], y[j])) for i, j in pairs]
    partners = [angle(x2[i], y2[i]) - angle(x[i], y[i]) for i in range(24)]
    assert found.modalities["image"].topology.value == pytest.approx(np.mean(within), rel=1e-5)
    assert found.deviations["image and text"].off_diagonal.value == pytest.approx(np.mean(across), rel=1e-5)
    assert found.deviations["image and text"].partners.value == pytest.approx(np.mean(partners), rel=1e-4)
    own = [angle(a, b) for a, b in zip(x, x2, strict=True)]
    np.testing.assert_allclose(found.modalities["image"].angle.per_query, own, rtol=1e-4)
    difference = np.mean(own) - np.mean([angle(a, b) for a, b in zip(y, y2, strict=True)])
    assert found.deviations["image and text"].difference.difference == pytest.approx(difference, abs=1e-3)
    assert found.deviations["image and text"].difference.a == "image"


def test_common_and_own_and_apart_are_unbiased_and_their_intervals_cover():
    turns, noise = {"image": turn(20, 8), "text": turn(10, 8, seed=8)}, 0.2
    many = space(n=40_000, seed=99)
    large = moved(many, turns, noise)
    rows = np.concatenate(list(many.values()))
    own = np.einsum("ij,ij->i", many["image"] @ turns["image"], large["image"]).mean()
    apart = np.einsum("ij,ij->i", rows @ turns["image"], rows @ turns["text"]).mean()
    truth = np.array([20, np.rad2deg(np.arccos(own)), np.rad2deg(np.arccos(apart))])
    figures = []
    for s in range(60):
        before = space(n=60, seed=s)
        found = rotation(before, moved(before, turns, noise, seed=s), resamples=1, random_state=s)
        image = found.modalities["image"]
        figures.append([image.common, image.own, found.deviations["image and text"].apart])
    values = np.array([[e.value for e in row] for row in figures])
    np.testing.assert_allclose(values.mean(axis=0), truth, atol=0.8)
    for k, true in enumerate(truth):
        assert sum(row[k].low <= true <= row[k].high for row in figures) >= 53, k


def test_items_that_move_by_themselves_are_no_common_turn_and_no_deviation():
    none = dict.fromkeys(("image", "text"), np.eye(8))
    at_zero = 0
    for s in range(20):
        before = space(n=80, seed=s)
        found = rotation(before, moved(before, none, noise=0.3, seed=s), resamples=1)
        assert found.modalities["image"].own.low > 20
        assert found.modalities["image"].common.value < 10
        at_zero += found.deviations["image and text"].apart.low == 0
    assert at_zero >= 17


def test_between_different_dimensions_what_is_defined_stays_the_same():
    before = space(n=200)
    after = moved(before, {"image": turn(20, 8), "text": turn(40, 8, seed=8)}, noise=0.1)
    wider = {m: np.hstack([v, v]) for m, v in after.items()}  # the same angles in 16 dimensions
    one, other = rotation(before, after), rotation(before, wider)
    assert other.modalities["image"].angle is None
    assert other.modalities["image"].common is None
    assert other.modalities["image"].beyond == {}
    assert other.deviations["image and text"].difference is None
    same = [(o.modalities["image"].own, o.modalities["image"].topology) for o in (one, other)]
    same = [(*pair, o.deviations["image and text"].apart) for pair, o in zip(same, (one, other), strict=True)]
    assert [e.value for e in same[0]] == pytest.approx([e.value for e in same[1]], abs=1e-3)
    assert "not defined" in str(other)


def test_copies_of_the_same_things_add_nothing():
    before = space(n=60)
    after = moved(before, {"image": turn(20, 8), "text": turn(40, 8)}, noise=0.2)
    twice = [{m: np.repeat(v, 3, axis=0) for m, v in side.items()} for side in (before, after)]
    one = rotation(before, after)
    other = rotation(*twice, groups=np.repeat(np.arange(60), 3))
    for pick in (
        lambda r: r.modalities["image"].angle,
        lambda r: r.modalities["image"].common,
        lambda r: r.modalities["image"].topology,
        lambda r: r.deviations["image and text"].apart,
        lambda r: r.deviations["image and text"].partners,
    ):
        a, b = pick(one), pick(other)
        assert (b.value, b.low, b.high) == pytest.approx((a.value, a.low, a.high), abs=1e-3)
        assert b.n == 3 * a.n


def test_lengths_and_number_formats_do_not_matter():
    before = space()
    after = moved(before, {"image": turn(20, 8), "text": turn(40, 8)}, noise=0.2)
    lengths = np.random.default_rng(3).uniform(0.5, 2, size=(120, 1))
    coarse = rotation({m: (v * lengths).astype(np.float16) for m, v in before.items()}, after)
    fine = rotation(before, after)
    assert coarse.modalities["text"].angle.value == pytest.approx(fine.modalities["text"].angle.value, abs=0.02)
    assert coarse.deviations["image and text"].apart.value == pytest.approx(
        fine.deviations["image and text"].apart.value, abs=0.05
    )


def test_items_without_a_modality_count_where_they_have_one():
    before = space()
    after = moved(before, {"image": turn(20, 8), "text": turn(40, 8)}, noise=0.2)
    for side in (before, after):
        side["image"][:30] = 0
        side["text"][100:] = 0
    found = rotation(before, after)
    assert (found.modalities["image"].angle.n, found.modalities["text"].angle.n) == (90, 100)
    both = {name: {m: v[30:100] for m, v in side.items()} for name, side in (("old", before), ("new", after))}
    alone = rotation(both["old"], both["new"]).deviations["image and text"]
    deviation = found.deviations["image and text"]
    assert deviation.partners.value == pytest.approx(alone.partners.value, abs=1e-9)
    assert deviation.off_diagonal.n == deviation.difference.n == 70


def test_few_things_beside_dimensions_have_no_turn_but_an_angle():
    before = space(n=15)
    found = rotation(before, moved(before, dict.fromkeys(before, turn(20, 8))))
    assert found.modalities["image"].common is None
    assert found.deviations["image and text"].apart is None
    assert found.modalities["image"].angle.value == pytest.approx(20, abs=0.01)


def test_unrelated_versions_have_no_turn_to_speak_of():
    before, after = space(seed=1), space(seed=2)
    found = rotation(before, after)
    assert found.modalities["image"].common is None
    assert found.modalities["image"].angle.value > 60


def test_one_modality_is_enough_and_no_more_than_the_items_asked_for_meet():
    before = {"vector": space()["image"]}
    found = rotation(before, moved(before, {"vector": turn(20, 8)}, noise=0.2), most=50)
    assert found.deviations == {}
    assert found.modalities["vector"].topology.n == 50
    assert found.modalities["vector"].angle.n == 120


def test_a_generator_or_no_seed_will_do():
    before = space(n=40)
    after = moved(before, {"image": turn(20, 8), "text": turn(40, 8)}, noise=0.2)
    for state in (None, np.random.default_rng(0)):
        found = rotation(before, after, random_state=state)
        assert found.modalities["image"].angle.seed is None
        assert found.deviations["image and text"].partners.n == 40
    with pytest.raises(BadInput, match="most must be at least 10"):
        rotation(before, after, most=5)


def test_a_seed_repeats_and_the_report_reads_well():
    before = space()
    after = moved(before, {"image": turn(20, 8), "text": turn(40, 8)}, noise=0.2)
    one, other = (rotation(before, after, random_state=3) for _ in range(2))
    assert one.to_dict() == other.to_dict()
    told = json.loads(json.dumps(one.to_dict()))
    assert told["deviations"]["image and text"]["apart"]["seed"] == 3
    assert told["modalities"]["text"]["beyond"]["30.0"]["n"] == 120
    assert "image and text\n" in str(one)
    assert "off diagonal" in str(one)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b, a: (b, {"image": a["image"]}), "give the same ones"),
        (lambda b, a: (b["image"], a), "must map modalities to vectors"),
        (lambda b, a: ({}, {}), "must map modalities to vectors"),
        (lambda b, a: (b, a | {"image": a["image"][:-1]}), "rows"),
        (lambda b, a: (b, a | {"image": np.hstack([a["image"]] * 2)}), "dimensions after"),
        (lambda b, a: (b, a | {"image": a["image"] * np.nan}), "NaN"),
        (lambda b, a: (b, a | {"image": a["image"] * (np.arange(120) > 3)[:, None]}), "one version of 'image' only"),
        (lambda b, a: [{m: v[:9] for m, v in s.items()} for s in (b, a)], "at least 10 different things, got 9"),
        (lambda b, a: [{m: v[:0] for m, v in s.items()} for s in (b, a)], "at least 10 different things, got 0"),
    ],
)
def test_bad_input_is_named(change, words):
    before = space()
    with pytest.raises(BadInput, match=words):
        rotation(*change(before, moved(before, dict.fromkeys(before, turn(20, 8)))))
