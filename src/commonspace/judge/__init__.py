"""Floor 3: check-ups with remedies that are measured, and reports that a person can read."""

from commonspace.judge.finding import Finding, Found
from commonspace.judge.page import write_html, write_json
from commonspace.judge.pictures import Bars, Curve, Histogram, Scatter
from commonspace.judge.report import Case, Report, Section, Sheet
from commonspace.judge.subject import Subject

__all__ = [
    "Bars",
    "Case",
    "Curve",
    "Finding",
    "Found",
    "Histogram",
    "Report",
    "Scatter",
    "Section",
    "Sheet",
    "Subject",
    "write_html",
    "write_json",
]
