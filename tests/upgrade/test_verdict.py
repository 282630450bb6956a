from dataclasses import replace

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import Comparison, Estimate
from commonspace.upgrade.options import Cost, Option, Trend
from commonspace.upgrade.verdict import Rule, decide

A, B = "text->image", "image->text"


def share(value, half=0.01, n=400):
    return Estimate("kept", value, value - half, value + half, n=n)


def than_old(difference, p=0.001, half=0.01, detectable=0.02):
    return Comparison(difference, difference - half, difference + half, p, 400, detectable=detectable)


def option(name, kind, kept=(1.0, 1.0), half=0.01, gain=(0.1, 0.1), p=0.001, labelled=True, trend=None, **cost):
    old = {d: than_old(g, p) for d, g in zip((A, B), gain, strict=True)} if labelled and kind != "keep" else {}
    return Option(
        name, kind, {}, {d: share(k, half) for d, k in zip((A, B), kept, strict=True)}, old, Cost(**cost), trend or {}
    )


def options(*more, gain=(0.1, 0.1), p=0.001, labelled=True, keep=(0.8, 0.8)):
    return [
        option("keep", "keep", keep),
        option("re-embed", "re-embed", half=0, gain=gain, p=p, labelled=labelled, encoder_calls=100),
        *more,
    ]


def said_of(options, rule=None):
    """Return the verdict on options that are steps of their own, dearest first."""
    return decide(options, [(o,) for o in options[2:]], rule or Rule())


def test_a_space_that_is_not_better_is_refused():
    said = said_of(options(option("b", "bridge"), gain=(0.005, -0.001), p=0.4))
    assert (said.verdict, said.chosen.name, said.certain) == ("do not upgrade", "keep", True)
    assert "would have been seen" in said.reasons[-1]


def test_a_gain_that_may_have_gone_unseen_leaves_the_answer_open_and_says_what_it_takes():
    said = said_of(options(gain=(0.015, -0.001), p=0.2))
    assert (said.verdict, said.certain) == ("do not upgrade", False)
    assert "400 queries (400 here)" in said.reasons[-1]  # the detectable difference is the one that is worth it


def test_a_space_that_is_worse_in_one_direction_is_refused_and_both_are_named():
    said = said_of(options(option("b", "bridge"), gain=(0.1, -0.1)))
    assert (said.verdict, said.certain) == ("do not upgrade", True)
    assert said.reasons[-2] == f"The new space is worse in {B}, though better in {A}."
    assert f"directions=['{A}']" in said.reasons[-1]


def test_a_space_that_is_worse_everywhere_gets_no_hint_to_look_away():
    said = said_of(options(gain=(-0.1, -0.1)))
    assert said.reasons[-1] == f"The new space is worse in {A}, {B}."


def down(*kept, half=0.01, bridge=None):
    """Shares of which each keeps less, and a bridge."""
    shares = [option(f"{90 - 20 * i}%", "partial", k, half, encoder_calls=90 - 20 * i) for i, k in enumerate(kept)]
    return options(*shares, *([] if bridge is None else [option("b", "bridge", bridge, half)]))


def test_the_last_step_that_is_enough_gives_the_verdict():
    enough, less = (0.97, 0.98), (0.98, 0.9)
    for steps, verdict, chosen in (
        (down(less), "re-embed", "re-embed"),
        (down(enough, less, bridge=less), "partial backfill", "90%"),
        (down(enough, enough, bridge=less), "partial backfill", "70%"),
        (down(enough, enough, bridge=enough), "bridge", "b"),
        (down(bridge=enough), "bridge", "b"),
    ):
        said = said_of(steps)
        assert (said.verdict, said.chosen.name) == (verdict, chosen)
        assert said.certain


def test_nothing_behind_the_first_step_that_fails_is_looked_at():
    said = said_of(down((0.99, 0.99), (0.955, 0.99), (0.99, 0.99), bridge=(0.99, 0.99)))
    assert (said.verdict, said.chosen.name, said.certain) == ("partial backfill", "90%", False)
    assert "70% is not shown to be enough" in " ".join(said.reasons)
    assert "may be enough all the same: it keeps 0.990" in said.reasons[-1]


def test_it_is_the_lower_end_that_counts():
    steps = options(option("10%", "partial", (0.98, 0.98), encoder_calls=10), option("b", "bridge", (0.96, 0.96), 0.02))
    said = said_of(steps)
    assert (said.verdict, said.chosen.name, said.certain) == ("partial backfill", "10%", False)
    assert (
        "b may be enough all the same. About 1,600 queries (400 here)" in said.reasons[-1]
    )  # half as wide: four times
    assert said_of(steps, Rule(keep=0.94)).verdict == "bridge"


def test_of_the_options_of_a_step_the_cheapest_that_is_enough_is_taken():
    cheap = [option(n, "bridge", (k, k)) for n, k in (("1", 0.955), ("2", 0.97), ("3", 0.99))]
    said = decide(options(*cheap), [tuple(cheap)], Rule())
    assert (said.verdict, said.chosen.name, said.certain) == ("bridge", "2", True)
    said = decide(options(*cheap[:1]), [tuple(cheap[:1])], Rule())
    assert (said.verdict, said.certain) == ("re-embed", False)


def test_what_is_worse_than_what_there_is_is_not_enough():
    said = said_of(options(option("b", "bridge", (0.99, 0.99), gain=(0.1, -0.02))))
    assert (said.verdict, said.certain) == ("re-embed", True)
    assert said.reasons[-1] == f"b is worse than the old space in {B}."


def test_it_is_certain_only_if_no_step_that_is_left_can_be_enough():
    assert said_of(options(option("b", "bridge", (0.5, 0.99)))).certain
    said = said_of(options(option("b", "bridge", (0.945, 0.99))))
    assert (said.verdict, said.certain) == ("re-embed", False)


def test_where_nothing_less_was_measured_the_reasons_say_so():
    said = said_of(options())
    assert (said.verdict, said.chosen.name, said.certain) == ("re-embed", "re-embed", True)
    assert "Nothing less" in said.reasons[-1]


@pytest.mark.parametrize(("kept", "certain"), [(0.99, False), (0.5, True)])
def test_a_direction_in_which_a_re_embed_finds_nothing_is_named_and_those_that_are_left(kept, certain):
    one = option("b", "bridge", (kept, 1.0))
    nothing = Estimate("kept", np.nan, 0.0, np.inf, n=400)
    said = said_of(options(replace(one, kept={**one.kept, B: nothing})))
    assert (said.verdict, said.certain) == ("re-embed", certain)
    assert f"finds nothing in {B}" in said.reasons[-2]
    assert f"directions=['{A}']" in said.reasons[-1]
    assert "nan" not in " ".join(said.reasons)


def test_a_lower_end_is_rounded_down():
    said = said_of(options(option("b", "bridge", (0.9596, 0.97))))  # to 0.9496
    assert "at least 0.949 with 95% confidence" in " ".join(said.reasons)
    assert said.verdict == "re-embed"


def test_the_option_is_the_one_that_was_measured_not_its_step():
    measured = options(option("b", "bridge", (0.99, 0.99)))
    said = decide(measured, [(option("b", "bridge", (0.97, 0.97)),)], Rule())
    assert said.chosen is measured[-1]
    assert "b keeps 0.970" in " ".join(said.reasons)


def test_without_labels_the_answer_is_never_no():
    said = said_of(options(option("b", "bridge", labelled=False), labelled=False))
    assert said.verdict == "bridge"
    assert "not known" in Rule().text(False)
    assert "Otherwise" not in Rule().text(False)  # there is nothing before it to choose from
    assert "not known" not in Rule().text(True)


@pytest.mark.parametrize(("change", "certain"), [(-0.01, False), (-0.001, True)])
def test_a_bridge_that_loses_as_the_gallery_grows_is_not_certain(change, certain):
    falls = Trend(share(0.98), share(change, 0.005), share(0.98 + change * 10), 10.0)
    said = said_of(options(option("b", "bridge", (0.97, 0.97), trend={A: falls})))
    assert (said.verdict, said.certain) == ("bridge", certain)
    assert any("extrapolation" in r for r in said.reasons) != certain
    assert certain or f"In {A} what b keeps changes by -0.010" in said.reasons[-1]


@pytest.mark.parametrize("parameter", ["keep", "worth", "level", "confidence"])
def test_parameters_of_the_rule_are_shares(parameter):
    with pytest.raises(BadInput, match=parameter):
        Rule(**{parameter: 1.5})


def test_the_rule_says_what_it_asks_for():
    assert "0.8" in Rule(keep=0.8).text(True)
    assert np.isclose(Rule().keep, 0.95)


@pytest.mark.parametrize(("confidence", "shown"), [(0.95, "95%"), (0.975, "97.5%"), (0.999, "99.9%"), (0.58, "58%")])
def test_a_confidence_is_told_with_all_its_digits(confidence, shown):
    rule = Rule(confidence=confidence)
    assert f"with {shown} confidence" in rule.text(True)
    assert f"with {shown} confidence" in " ".join(said_of(options(option("b", "bridge")), rule).reasons)


def test_a_confidence_that_bare_figures_would_do_for_is_refused():
    with pytest.raises(BadInput, match=r"above 0\.5"):
        Rule(confidence=0.5)
