"""`Finding`: one thing that can be wrong with a space, looked for by measurement.

A finding gives every modality (or pair of them) a score in [0, 1], where 1 is healthy, raises its flag below a stated
limit, shows the figures that made it do so, and names the remedy. Whether the remedy helps is measured, not promised:
see `commonspace.judge.remedies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from commonspace.core.method import Method
from commonspace.judge.pictures import Picture
from commonspace.judge.report import Case
from commonspace.judge.subject import Subject


@dataclass(frozen=True)
class Found:
    """What a finding says of one modality or pair of modalities.

    Parameters
    ----------
    finding : str
        Name of the finding, as registered.
    about : str
        What it speaks of: ``"image"``, ``"text->image"``.
    score : float
        In [0, 1]; 1 is healthy.
    flag : bool
        Whether something should be done.
    summary : str
        One sentence with the figures that matter.
    evidence : mapping of str to Estimate, Comparison, float, int or str
        What was measured.
    pictures : tuple of Picture
    cases : tuple of Case
        Items to look at.
    remedy : str, optional
        Name of the remedy that may help.
    advice : str
        What a person can do, in a sentence.
    limit : float, optional
        The score below which the flag is raised, where the score alone decides.
    """

    finding: str
    about: str
    score: float
    flag: bool
    summary: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    cases: tuple[Case, ...] = ()
    remedy: str | None = None
    advice: str = ""
    limit: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        evidence = {k: v.to_dict() if hasattr(v, "to_dict") else v for k, v in self.evidence.items()}
        return {
            "finding": self.finding,
            "about": self.about,
            "score": self.score,
            "flag": self.flag,
            "summary": self.summary,
            "evidence": evidence,
            "pictures": [p.to_dict() for p in self.pictures],
            "cases": [c.to_dict() for c in self.cases],
            "remedy": self.remedy,
            "advice": self.advice,
            "limit": self.limit,
        }

    def __str__(self) -> str:
        return f"{'!' if self.flag else ' '} {self.score:.2f} {self.finding} ({self.about}): {self.summary}"


class Finding(Method):
    """Base of findings; a subclass is registered with ``protocol="Finding"``."""

    title: ClassVar[str] = ""  # heading of the report's section

    def lacks(self, subject: Subject) -> str | None:
        """Return what is missing to look for this, in words; None where nothing is: vectors are enough unless said."""
        return None

    def look(self, subject: Subject, rng: np.random.Generator) -> list[Found]:
        """Return what was found, one entry a modality or pair of modalities."""
        raise NotImplementedError


def lacks_pairs(subject: Subject) -> str | None:
    """Return what is missing of pairs of two modalities, in words; None where nothing is."""
    if len(subject.modalities) < 2:
        return "there is one modality only"
    return None if len(subject.things) > 1 else "it is not known which rows of two modalities show the same thing"
