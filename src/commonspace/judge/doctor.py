"""`check_up`: look for everything that can be wrong with a space, and try what may help.

done = check_up(Subject({"vectors": np.load("matrix.npy")}))
print(done)                                    # what needs attention first, each with its figures and advice
check_up(subject, treat=True).treatments       # remedies, measured on pairs that they have not seen
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, NotInstalled
from commonspace.core.progress import silent, task
from commonspace.core.random import RandomState, generator
from commonspace.core.registry import build, entries, find, name_of
from commonspace.judge.finding import Finding, Found
from commonspace.judge.report import Report, Section, Sheet
from commonspace.judge.subject import Subject
from commonspace.judge.treatment import HALF, METRIC, Treatment, corrected_together
from commonspace.judge.treatment import treat as try_remedy

_VERDICTS = ("helps", "helps and hurts", "hurts", "no difference shown", "not measured")
_EFFECTS = {1: "better", 0: "no difference shown", -1: "worse"}


@dataclass(frozen=True)
class CheckUp:
    """What a check-up found.

    Parameters
    ----------
    found : tuple of Found
        What every finding says of every modality or pair of them; flagged ones first, the lowest score first.
    treatments : tuple of Treatment
        Remedies that were tried.
    unsought : dict of str to str
        Findings that could not be looked for -> why.
    about : dict
        What was looked at, with the seed.
    interrupted : bool
        Whether it was stopped before all was done.
    titles : dict of str to str
        Finding -> heading.
    """

    found: tuple[Found, ...]
    treatments: tuple[Treatment, ...] = ()
    unsought: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False
    titles: dict[str, str] = field(default_factory=dict)

    @property
    def flagged(self) -> tuple[Found, ...]:
        """Those that need attention."""
        return tuple(f for f in self.found if f.flag)

    @property
    def verdict(self) -> str:
        """All of it in a sentence or three."""
        looked = len({f.finding for f in self.found})
        flagged = list(dict.fromkeys(f.finding for f in self.flagged))
        said = f"Nothing needs attention in {_count(looked, 'finding')}." if looked else "Nothing was looked for."
        if flagged:
            need = "needs" if len(flagged) == 1 else "need"
            said = f"{len(flagged)} of {_count(looked, 'finding')} {need} attention: {', '.join(flagged)}."
        tried = {v: [t.remedy for t in self.treatments if t.verdict == v] for v in _VERDICTS}
        if words := [f"{', '.join(names)}: {verdict}" for verdict, names in tried.items() if names]:
            said += f" Tried on unseen things: {'; '.join(words)}."
        if self.unsought:
            said += f" {_count(len(self.unsought), 'finding')} could not be looked for."
        return said + (" Stopped before all was done." if self.interrupted else "")

    def __str__(self) -> str:
        lines = [self.verdict, ""]
        for f in self.found:
            lines.append(str(f))
            if f.flag and f.advice:
                lines.append(f"         {f.advice}")
        lines += [""] * bool(self.treatments) + [str(t) for t in self.treatments]
        if self.unsought:
            lines += ["", "Not looked for:", *(f"  {name}: {why}" for name, why in self.unsought.items())]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "verdict": self.verdict,
            "about": self.about,
            "interrupted": self.interrupted,
            "found": [f.to_dict() for f in self.found],
            "treatments": [t.to_dict() for t in self.treatments],
            "unsought": self.unsought,
        }

    def to_report(self, title: str = "Check-up") -> Report:
        """Return a report: what needs attention first, then what was tried, then what is well."""
        overview = Sheet(
            ["", "finding", "of", "score", "what was measured"],
            [["!" if f.flag else "", f.finding, f.about, round(f.score, 3), f.summary] for f in self.found],
            "A score of 1 is healthy; ! stands where something should be done.",
        )
        sections = [Section("Overview", sheets=(overview,))]
        names = list(dict.fromkeys(f.finding for f in self.found))
        parts = {n: self._section(n, [f for f in self.found if f.finding == n]) for n in names}
        sections += [s for s in parts.values() if s.flag]
        sections += [self._treated()] if self.treatments else []
        sections += [s for s in parts.values() if not s.flag]
        if self.unsought:
            rows = [[name, why] for name, why in self.unsought.items()]
            sections.append(Section("Not looked for", sheets=(Sheet(["finding", "what is missing"], rows),)))
        return Report(title, self.verdict, sections, self.about, {"check_up": self.to_dict()})

    def _section(self, name: str, found: Sequence[Found]) -> Section:
        said = [f"{f.about}: {f.summary}" for f in found]
        text = "\n\n".join([*said, *dict.fromkeys(f.advice for f in found if f.flag and f.advice)])
        figures = Sheet(
            ["of", "figure", "value"],
            [[f.about, figure, value] for f in found for figure, value in f.evidence.items()],
        )
        return Section(
            self.titles.get(name) or name,
            text,
            (figures,) if figures.rows else (),
            tuple(p for f in found for p in f.pictures),
            tuple(c for f in found for c in f.cases),
            any(f.flag for f in found),
        )

    def _treated(self) -> Section:
        retrieval = [
            [
                t.remedy,
                d.task,
                d.without,
                d.treated,
                d.difference,
                _EFFECTS[d.effect],
            ]
            for t in self.treatments
            for d in t.directions
        ]
        scores = [
            [t.remedy, b.finding, b.about, round(b.score, 3), round(a.score, 3)]
            for t in self.treatments
            for b, a in zip(t.before, t.after, strict=True)
        ]
        sheets = []
        if retrieval:
            head = ["remedy", "direction", f"{METRIC} without", f"{METRIC} with", "difference", "verdict"]
            note = "P-values are corrected over all directions of all remedies tried (Holm)."
            sheets.append(Sheet(head, retrieval, note, "Retrieval with and without"))
        if scores:
            head = ["remedy", "finding", "of", "score without", "score with"]
            sheets.append(Sheet(head, scores, title="Findings again"))
        text = "\n\n".join(
            f"{t.remedy} ({t.title}): {t.verdict}." + (f" {t.why_not}" if t.why_not else "") for t in self.treatments
        )
        text += "\n\nEach remedy learned from one half of the things and was measured on the other."
        return Section("Remedies tried", text, tuple(sheets))


def check_up(
    subject: Subject,
    findings: Sequence[Any] | None = None,
    *,
    treat: bool | Sequence[Any] = False,
    random_state: RandomState = 0,
    progress: bool = True,
) -> CheckUp:
    """Look for what is wrong with vectors, and try what may help.

    Parameters
    ----------
    subject : Subject
        The vectors and what is known of them.
    findings : sequence of str, mapping or Finding, optional
        What to look for; everything by default.
    treat : bool or sequence of str, mapping or Remedy
        True tries the remedy of every finding that is flagged; or those to try.
    random_state : int, Generator or None
        Seed of samples, halves and intervals. Every finding has a stream of its own, so that what it says does not
        hang on what else is looked for.
    progress : bool
        Show a progress bar on terminals.

    Returns
    -------
    CheckUp
        Also after Ctrl-C, with what was found until then.

    Raises
    ------
    NotFound
        An unknown finding or remedy.
    """
    if isinstance(findings, str) or isinstance(treat, str):
        raise BadInput('findings and treat take lists of names, such as ["hubness"]')
    rng = generator(random_state)
    root = int(rng.integers(2**31))
    looked_for = [build("Finding", f) for f in _all(findings)]
    wanted = [build("Remedy", r) for r in treat] if not isinstance(treat, bool) else []
    found: list[Found] = []
    unsought: dict[str, str] = {}
    treatments: list[Treatment] = []
    halves: tuple[Subject, Subject] | None = None  # the same for all remedies, so that they can be compared
    interrupted = False
    try:
        with task("Check-up", len(looked_for)) if progress else silent() as bar:
            for finding in looked_for:
                bar.advance(0, note=name_of(finding))
                why = _look(subject, finding, _stream(root, name_of(finding)), found)
                unsought |= {name_of(finding): why} if why else {}
                bar.advance()
        for remedy, asked in _to_try(found, looked_for, wanted, treat):
            halves = halves or _halved(subject, _stream(root, "halves"))
            treatments.append(try_remedy(subject, remedy, asked, _stream(root, name_of(remedy)), halves=halves))
    except KeyboardInterrupt:
        interrupted = True
    treatments = corrected_together(treatments)
    about = {
        **subject.about,
        "rows": {m: len(x) for m, x in subject.vectors.items()},
        "dimension": subject.dim,
        "seed": random_state if isinstance(random_state, int) else None,
    }
    ordered = sorted(found, key=lambda f: (not f.flag, f.score))
    titles = {name_of(f): f.title for f in looked_for}
    return CheckUp(tuple(ordered), tuple(treatments), unsought, about, interrupted, titles)


def _all(findings: Sequence[Any] | None) -> Sequence[Any]:
    return [e.name for e in entries("Finding")] if findings is None else findings


def _look(subject: Subject, finding: Finding, rng: Any, found: list[Found]) -> str | None:
    """Add what a finding says; return why it says nothing."""
    try:
        if why := finding.lacks(subject):
            return why
        said = finding.look(subject, rng)
    except (BadInput, NotInstalled) as e:  # too few rows, all of them zero ...
        return " ".join(str(e).split())
    found += said
    return None if said else "there are too few rows for it"


def _to_try(
    found: Sequence[Found], findings: Sequence[Finding], wanted: Sequence[Any], treat: Any
) -> list[tuple[Any, list[Finding]]]:
    """Return the remedies with the findings that they are for."""
    by_name = {name_of(f): f for f in findings}
    asked: dict[str, list[Finding]] = {}
    for f in found:
        if f.remedy is not None and (f.flag or wanted):
            mine = asked.setdefault(find("Remedy", f.remedy).name, [])
            mine += [by_name[f.finding]] if by_name[f.finding] not in mine else []
    if wanted:
        return [(r, asked.get(name_of(r), [])) for r in wanted]
    return [(build("Remedy", r), fs) for r, fs in asked.items()] if treat else []


def _halved(subject: Subject, rng: Any) -> tuple[Subject, Subject] | None:
    try:
        return subject.halves(rng, most=HALF)
    except BadInput:
        return None  # each treatment says so


def _stream(root: int, name: str) -> Any:
    return generator(int(digest([root, name]), 16))


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
