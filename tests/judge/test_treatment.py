"""Whether a remedy helps is measured on things that it has not seen, and said with its uncertainty."""

from itertools import product

import numpy as np
import pytest
from claims.judge._worlds import planted, sound

from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.findings.isotropy import Isotropy
from commonspace.judge.remedy import Remedy
from commonspace.judge.treatment import Treatment, corrected_together, measured, treat
from commonspace.measure import holm


class Nothing(Remedy):
    """Change nothing."""

    title = "nothing changed"


class Spoil(Remedy):
    """Exchange the vectors for noise."""

    title = "noise"

    def transform(self, rows, modality):
        return np.random.default_rng(len(rows)).normal(size=rows.shape).astype(np.float32)


class Spy(Remedy):
    """Remember what it learned from and was measured on."""

    title = "watched"

    def fit(self, subject, rng):
        self.learned = {m: set(t.tolist()) for m, t in subject.things.items()}
        return self

    def keeps(self, subject):
        self.measured = {m: set(t.tolist()) for m, t in subject.things.items()}
        return super().keeps(subject)


def reciprocal_ranks(queries, gallery, asking, there, itself):
    """The first right answer of every query that has one, in a naive loop."""
    out = {}
    for i, q in enumerate(queries):
        order = sorted(
            (j for j in range(len(gallery)) if not (itself and i == j)), key=lambda j: -float(q @ gallery[j])
        )
        right = [place for place, j in enumerate(order, 1) if there[j] == asking[i]]
        if right:
            out[i] = 1 / right[0]
    return out


def test_retrieval_without_a_remedy_equals_the_naive_loop_in_every_direction():
    subject = sound("gap", 5)
    test = subject.take({"image": np.arange(0, 80), "text": np.arange(30)})
    found = {d.task: d for d in measured(test, Nothing(), np.random.default_rng(0))}
    assert set(found) == {"image->image", "image->text", "text->image"}  # a thing has one text
    for a, b in product(test.modalities, repeat=2):
        x, y = (unit(test.vectors[m]) for m in (a, b))
        known = reciprocal_ranks(x, y, test.things[a], test.things[b], a == b)
        if f"{a}->{b}" in found:
            d = found[f"{a}->{b}"]
            assert d.without.value == pytest.approx(np.mean(list(known.values())), abs=1e-6)
            assert d.without.n == len(known)


def test_doing_nothing_shows_no_difference_and_noise_hurts():
    done = treat(sound("gap", 5), Nothing(), [], np.random.default_rng(0))
    assert done.verdict == "no difference shown"
    assert all(d.difference.difference == 0 for d in done.directions)
    assert treat(sound("gap", 5), Spoil(), [], np.random.default_rng(0)).verdict == "hurts"


def test_a_remedy_is_measured_on_things_that_it_did_not_learn_from():
    spy = Spy()
    treat(sound("gap", 5), spy, [], np.random.default_rng(0))
    for m in ("image", "text"):
        assert not spy.learned[m] & spy.measured[m]
        assert len(spy.learned[m] | spy.measured[m]) == 200


def test_the_finding_is_measured_again_on_the_same_rows():
    done = treat(planted("isotropy", 1), "centring", [Isotropy()], np.random.default_rng(0))
    assert [f.about for f in done.before] == [f.about for f in done.after] == ["image", "text"]
    assert all(b.flag and not a.flag for b, a in zip(done.before, done.after, strict=True))


def test_rows_taken_out_of_the_gallery_still_ask_and_find_nothing_of_their_own():
    class First(Remedy):
        """Keep the first row of each thing."""

        def keeps(self, subject):
            kept = {}
            for m, things in subject.things.items():
                kept[m] = np.isin(np.arange(len(things)), np.unique(things, return_index=True)[1])
            return kept

    test = sound("gap", 5).take({"image": np.arange(80), "text": np.arange(40)})
    found = {d.task: d for d in measured(test, First(), np.random.default_rng(0))}
    within = found["image->image"]
    assert within.without.n == within.treated.n == 80
    # Of two images of a thing, the first has nothing to find any more and the second finds the first.
    x = unit(test.vectors["image"])
    first = np.arange(0, 80, 2)
    known = [1 / (1 + np.sum(x[first] @ x[i] > x[i - 1] @ x[i] + 1e-5)) for i in range(1, 80, 2)]
    assert within.treated.value == pytest.approx(np.sum(known) / 80, abs=1e-6)


def test_p_values_are_corrected_over_the_directions():
    subject = sound("gap", 5)
    found = measured(subject.take({"image": np.arange(60), "text": np.arange(30)}), Spoil(), np.random.default_rng(0))
    raw = sorted(d.difference.p_value_raw for d in found)
    assert min(d.difference.p_value for d in found) == pytest.approx(min(1, raw[0] * len(found)))


def test_without_labels_only_the_finding_is_measured_again():
    x = np.random.default_rng(0).normal(size=(200, 8)) + 2
    done = treat(Subject({"a": x}), "centring", [Isotropy()], np.random.default_rng(0))
    assert done.verdict == "not measured"
    assert "not known which rows" in done.why_not
    assert done.after[0].score > done.before[0].score
    assert "0." in str(done)


@pytest.mark.parametrize("remedy", ["centring", "hub-normalisation", "deduplicate", "whitening", "pair-cleaning"])
def test_a_modality_that_is_in_one_half_only_is_not_measured(remedy):
    x = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    subject = Subject({"a": x, "b": x[:1]}, things={"a": np.arange(200) // 2, "b": np.zeros(1, int)})
    for seed in range(2):
        done = treat(subject, remedy, [Isotropy()], np.random.default_rng(seed))
        assert [d.task for d in done.directions] == ["a->a"] or remedy == "pair-cleaning"


def test_too_little_to_halve_is_said_not_raised():
    done = treat(Subject({"a": np.eye(2)}), "centring", [], np.random.default_rng(4))
    assert isinstance(done, Treatment)
    assert done.why_not


def test_several_remedies_of_one_subject_are_corrected_together():
    subject = sound("gap", 5)
    alone = [treat(subject, remedy, [], np.random.default_rng(0)) for remedy in (Nothing(), Spoil())]
    together = corrected_together(alone)
    assert [t.remedy for t in together] == [t.remedy for t in alone]
    raw = [d.difference.p_value_raw for t in alone for d in t.directions]
    assert [d.difference.p_value for t in together for d in t.directions] == pytest.approx(holm(raw))
    assert len(raw) > len(alone[0].directions) > 0
    assert corrected_together([]) == []
