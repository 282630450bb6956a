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


def test_a_space_that_is_not_better_is_refused():
    said = decide(options(option("b", "bridge"), gain=(0.005, -0.001), p=0.4), Rule())
    assert (said.verdict, said.chosen.name, said.certain) == ("do not upgrade", "keep", True)
    assert "would have been seen" in said.reasons[-1]


def test_a_gain_that_may_have_gone_unseen_leaves_the_answer_open_and_says_what_it_takes():
    said = decide(options(gain=(0.015, -0.001), p=0.2), Rule())
    assert (said.verdict, said.certain) == ("do not upgrade", False)
    assert "400 queries (400 here)" in said.reasons[-1]  # the detectable difference is the one that is worth it


def test_a_space_that_is_worse_in_one_direction_is_refused_and_both_are_named():
    said = decide(options(option("b", "bridge"), gain=(0.1, -0.1)), Rule())
    assert (said.verdict, said.certain) == ("do not upgrade", True)
    assert said.reasons[-1] == f"The new space is worse in {B}, though better in {A}."


def test_the_cheapest_bridge_that_keeps_enough_everywhere_is_taken():
    said = decide(
        options(
            option("dear", "bridge", (0.99, 0.99), bytes_written=10),
            option("cheap", "bridge", (0.97, 0.97)),
            option("cheap too, and better", "bridge", (0.98, 0.98)),
            option("cheap, but not there", "bridge", (0.99, 0.955)),
            option("some", "partial", (0.999, 0.999), encoder_calls=10),
        ),
        Rule(),
    )
    assert (said.verdict, said.chosen.name, said.certain) == ("bridge", "cheap too, and better", True)


def test_it_is_the_lower_end_that_counts():
    bridge = option("b", "bridge", (0.96, 0.96), half=0.02)
    said = decide(options(bridge, option("10%", "partial", (0.98, 0.98), encoder_calls=10)), Rule())
    assert (said.verdict, said.chosen.name, said.certain) == ("partial backfill", "10%", False)
    assert "b may be enough, too" in said.reasons[-1]
    assert "About 1,600 queries (400 here)" in said.reasons[-1]  # half as wide: four times as many
    assert decide(options(bridge), Rule(keep=0.94)).verdict == "bridge"


def test_a_bridge_that_is_worse_than_what_there_is_is_none():
    said = decide(options(option("b", "bridge", (0.99, 0.99), gain=(0.1, -0.02))), Rule())
    assert said.verdict == "re-embed"
    assert said.certain


def test_the_smallest_share_that_is_enough_is_taken():
    shares = [
        option(f"{s}%", "partial", (k, k), encoder_calls=s) for s, k in ((75, 0.99), (10, 0.9), (25, 0.97), (50, 0.98))
    ]
    said = decide(options(*shares), Rule())
    assert (said.verdict, said.chosen.name, said.certain) == ("partial backfill", "25%", True)


def test_otherwise_all_is_re_embedded_and_it_is_certain_only_if_nothing_less_can_be_enough():
    assert decide(options(option("b", "bridge", (0.5, 0.99))), Rule()).certain
    said = decide(options(option("b", "bridge", (0.945, 0.99))), Rule())
    assert (said.verdict, said.certain) == ("re-embed", False)
    alone = decide(options(), Rule())
    assert (alone.verdict, alone.chosen.name) == ("re-embed", "re-embed")


def test_without_labels_the_answer_is_never_no():
    said = decide(options(option("b", "bridge", labelled=False), labelled=False), Rule())
    assert said.verdict == "bridge"
    assert "not known" in Rule().text(False)
    assert "not known" not in Rule().text(True)


@pytest.mark.parametrize(("change", "certain"), [(-0.01, False), (-0.001, True)])
def test_a_bridge_that_loses_as_the_gallery_grows_is_not_certain(change, certain):
    falls = Trend(share(0.98), share(change, 0.005), share(0.98 + change * 10), 10.0)
    said = decide(options(option("b", "bridge", (0.97, 0.97), trend={A: falls})), Rule())
    assert (said.verdict, said.certain) == ("bridge", certain)
    assert any("extrapolation" in r for r in said.reasons) != certain


@pytest.mark.parametrize("parameter", ["keep", "worth", "level"])
def test_parameters_of_the_rule_are_shares(parameter):
    with pytest.raises(BadInput, match=parameter):
        Rule(**{parameter: 1.5})


def test_the_rule_says_what_it_asks_for():
    assert "0.8" in Rule(keep=0.8).text(True)
    assert np.isclose(Rule().keep, 0.95)
