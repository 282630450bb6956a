"""Floor 3: check-ups with remedies that are measured, and reports that a person can read."""

from commonspace.judge.doctor import CheckUp, check_up
from commonspace.judge.evaluating.directions import Direction, Side, directions_of
from commonspace.judge.evaluating.evaluation import evaluation_report
from commonspace.judge.finding import Finding, Found
from commonspace.judge.pages.page import write_html, write_json
from commonspace.judge.pictures import Bars, Curve, Histogram, Scatter
from commonspace.judge.report import Case, Report, Section, Sheet
from commonspace.judge.subject import Subject

__all__ = [
    "Bars",
    "Case",
    "CheckUp",
    "Curve",
    "Direction",
    "Finding",
    "Found",
    "Histogram",
    "Report",
    "Scatter",
    "Section",
    "Sheet",
    "Side",
    "Subject",
    "check_up",
    "directions_of",
    "evaluation_report",
    "write_html",
    "write_json",
]
