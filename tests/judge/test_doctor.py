"""A check-up looks for everything it can, says what it could not look for, and keeps what it has when it is stopped."""

import json

import numpy as np
import pytest
from claims.judge._worlds import planted, sound

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.registry import entries
from commonspace.core.vectors import unit
from commonspace.judge import Subject
from commonspace.judge.doctor import check_up
from commonspace.judge.findings.isotropy import Isotropy
from commonspace.judge.report import Report

X = unit(np.random.default_rng(0).normal(size=(200, 8)))
QUIET = {"progress": False}


def test_every_finding_is_either_looked_for_or_named_with_the_reason():
    done = check_up(Subject({"a": X}), **QUIET)
    assert {f.finding for f in done.found} | set(done.unsought) == {e.name for e in entries("Finding")}
    assert "one modality" in done.unsought["gap"]
    assert done.verdict.startswith("Nothing needs attention")


def test_what_needs_attention_comes_first_and_the_verdict_names_it():
    done = check_up(planted("gap", 1), ["isotropy", "gap", "norms"], **QUIET)
    assert [f.flag for f in done.found] == sorted((f.flag for f in done.found), reverse=True)
    assert done.found[0].finding == "gap"
    assert "1 of 3 findings needs attention: gap." in done.verdict
    assert str(done).splitlines()[2].startswith("!")


def test_findings_can_be_named_configured_or_given():
    done = check_up(
        Subject({"a": X + 1}), ["norms", {"name": "isotropy", "limit": 0.99}, Isotropy(limit=0.01)], **QUIET
    )
    assert [f.flag for f in done.found if f.finding == "isotropy"] == [True, False]


def test_what_a_finding_says_does_not_hang_on_what_else_is_looked_for():
    alone, among = (
        check_up(sound("gap", 2), names, **QUIET) for names in (["hubness"], ["collapse", "hubness", "norms"])
    )
    assert [f.to_dict() for f in alone.found] == [f.to_dict() for f in among.found if f.finding == "hubness"]


def test_one_seed_gives_one_answer():
    one, two = (check_up(planted("gap", 2), ["gap", "hubness"], treat=True, **QUIET).to_dict() for _ in range(2))
    assert one == two


def test_flagged_findings_get_their_remedy_tried_and_well_ones_do_not():
    done = check_up(planted("gap", 1), ["gap", "isotropy", "imbalance"], treat=True, **QUIET)
    (treatment,) = done.treatments
    assert treatment.remedy == "centring"
    assert set(treatment.for_) == {"gap", "imbalance"}
    assert treatment.verdict in ("helps", "no difference shown")
    assert check_up(sound("gap", 1), ["gap"], treat=True, **QUIET).treatments == ()


def test_remedies_can_be_named():
    done = check_up(sound("gap", 1), ["norms"], treat=["whitening", {"name": "top-components", "count": 2}], **QUIET)
    assert [t.remedy for t in done.treatments] == ["whitening", "top-components"]


@pytest.mark.parametrize(("findings", "treat"), [(["nosuch"], False), (["norms"], ["nosuch"])])
def test_an_unknown_name_is_refused_before_anything_is_measured(findings, treat):
    with pytest.raises(NotFound, match="nosuch"):
        check_up(Subject({"a": X}), findings, treat=treat, **QUIET)


def test_a_name_in_place_of_a_list_is_refused():
    with pytest.raises(BadInput, match="lists of names"):
        check_up(Subject({"a": X}), "norms", **QUIET)
    with pytest.raises(BadInput, match="lists of names"):
        check_up(Subject({"a": X}), treat="centring", **QUIET)


class Stopped(Isotropy):
    """Somebody presses Ctrl-C."""

    def look(self, subject, rng):
        raise KeyboardInterrupt


def test_what_was_found_until_it_was_stopped_is_kept():
    done = check_up(Subject({"a": X}), ["norms", Stopped(), "collapse"], treat=True, **QUIET)
    assert [f.finding for f in done.found] == ["norms"]
    assert done.interrupted
    assert "Stopped before all was done" in done.verdict


class Broken(Isotropy):
    """There is too little to look at."""

    def look(self, subject, rng):
        raise BadInput("too few\n rows")


def test_what_cannot_be_measured_is_said_in_one_line_and_the_rest_goes_on():
    done = check_up(Subject({"a": X}), [Broken(), "norms"], **QUIET)
    assert list(done.unsought.values()) == ["too few rows"]
    assert [f.finding for f in done.found] == ["norms"]


def test_the_report_has_what_needs_attention_first_and_is_ready_for_json():
    done = check_up(planted("gap", 1), ["gap", "norms", "drift"], treat=True, random_state=3, **QUIET)
    report = done.to_report("A check-up")
    assert isinstance(report, Report)
    assert [s.title for s in report.sections] == [
        "Overview", "Gap between modalities", "Remedies tried", "Lengths of vectors", "Not looked for",
    ]  # fmt: skip
    assert report.about["seed"] == 3
    assert report.about["rows"] == {"image": 400, "text": 200}
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["check_up"]["verdict"] == done.verdict
    assert json.dumps(done.to_dict(), allow_nan=False)


def test_the_report_becomes_a_page():
    from commonspace.judge.page import render

    pytest.importorskip("jinja2")
    page = render(check_up(planted("gap", 1), ["gap", "hubness"], treat=True, **QUIET).to_report())
    assert "Gap between modalities" in page
    assert "centring" in page
