"""The fit report and the model card: what a space was trained on, how well it does, whom to cite.

The card is the `README.md` of a saved space, in the Hugging Face layout: a YAML head for machines, prose and tables
for people. It is generated from the same data as `config.json`, never typed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from commonspace.core.errors import CommonspaceError
from commonspace.core.registry import find

if TYPE_CHECKING:
    from commonspace.align.compatible import Compatible
    from commonspace.align.edits import Edits
    from commonspace.align.fit import FitResult


@dataclass
class FitReport:
    """What a fit did: the heads beside closed-form baselines on validation, and what was left out.

    Parameters
    ----------
    result : FitResult
        History, best epoch, baselines and validation metrics of the trained heads.
    n_train, n_valid : int
        Rows that were used for training and for validation.
    skipped : dict of str to (dict of int to str)
        Modality -> position of each unusable item in the table -> reason.
    edits : dict of str to Edits
        Modality -> the edited items that were trained against; positions are those of the table.
    left_out : dict of str to int
        Modality -> negatives that were not used, because their row is one of validation.
    compatible : Compatible or None
        With which earlier space the new one can be compared, and how well.
    """

    result: FitResult
    n_train: int
    n_valid: int
    skipped: dict[str, dict[int, str]] = field(default_factory=dict)
    edits: dict[str, Edits] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    compatible: Compatible | None = None

    def __str__(self) -> str:
        r = self.result
        lines = [
            f"{self.n_train:,} rows for training, {self.n_valid:,} for validation; {len(r.history)} epochs in "
            f"{r.seconds:.0f} s, epoch {r.best_epoch} kept" + (" (stopped by Ctrl-C)" if r.interrupted else "")
        ]
        if r.choice is not None:
            lines.append(f"Chosen: {r.choice.reason}")
        for modality, edits in self.edits.items():
            shown = f"{edits.was[0]!r} -> {edits.now[0]!r}"
            lines.append(f"{len(edits):,} edits of {modality} items were trained against, such as {shown}")
        for modality, count in self.left_out.items():
            if count:
                lines.append(f"{count:,} {modality} negatives were left out: their rows are used for validation")
        if self.compatible is not None:
            lines.append(str(self.compatible))
        if r.baselines is not None:
            lines.append(str(r.baselines))
        if r.by_size:
            figures = ", ".join(f"{size} {f['mrr']:.3f}" for size, f in r.by_size.items() if "mrr" in f)
            lines.append(f"mrr by the number of dimensions kept: {figures}")
        for modality, rows in self.skipped.items():
            if rows:
                first = min(rows)
                lines.append(f"{len(rows)} {modality} items were left out, first at row {first}: {rows[first]}")
        return "\n".join(lines)

    def metrics(self) -> list[dict[str, Any]]:
        """Return one row a task and metric: the heads' figure with its interval and the best closed form's."""
        table = self.result.baselines
        return [] if table is None else metric_rows(table.figures)


def metric_rows(figures: Mapping[tuple[str, str, str], Any]) -> list[dict[str, Any]]:
    """Return the project's one form of figures from (system, task, metric) -> Estimate.

    Returns
    -------
    list of dict
        ``task``, ``metric``, ``value``, ``low``, ``high``, ``n`` of the system "heads", and ``baseline``: the best of
        the other systems, or None.
    """
    rows = []
    for (system, task, metric), estimate in figures.items():
        if system != "heads":
            continue
        others = [e.value for (s, t, m), e in figures.items() if s != "heads" and (t, m) == (task, metric)]
        best = min if metric == "median_rank" else max
        row = {k: getattr(estimate, k) for k in ("metric", "value", "low", "high", "n")}
        rows.append({"task": task, **row, "baseline": best(others) if others else None})
    return rows


def card_data(report: FitReport, data: str, random_state: Any) -> dict[str, Any]:
    """Return what a space keeps of a fit, as JSON data.

    Parameters
    ----------
    report : FitReport
        The fit.
    data : str
        Digest of the encoded training data.
    random_state : int or other
        The seed, kept if it is a number.
    """
    packages = {}
    for name in ("commonspace", "numpy", "scikit-learn", "torch"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "n_train": report.n_train,
        "n_valid": report.n_valid,
        "data": data,
        "random_state": random_state if isinstance(random_state, int) else None,
        "versions": packages,
        "training": report.result.params,
        "edits": {m: dict(Counter(edits.kind)) for m, edits in report.edits.items()},
        "best_epoch": report.result.best_epoch,
        "metrics": report.metrics(),
        **({} if report.compatible is None else {"compatible_with": report.compatible.to_dict()}),
    }


def model_card(config: Mapping[str, Any]) -> str:
    """Return the text of `README.md` for the configuration of a space."""
    card = config["card"]
    modalities, earlier = config["order"], card.get("compatible_with")
    encoders = {m: [e["name"] for e in config["modalities"][m]["encoders"]] for m in modalities}
    lines = [
        "---",
        "library_name: commonspace",
        "tags: [multimodal, embeddings, feature-extraction]",
        f"space_id: {config['id']}",
        "---",
        "",
        f"# A common space of {_and(modalities)}",
        "",
        f"Unit vectors of {config['dim']} dimensions; the dot product of two is their cosine. They are comparable",
        f"with one another and with {'those of one earlier space' if earlier else 'nothing else'} (space id "
        f"`{config['id'][:12]}`).",
        "",
        "```python",
        "from commonspace import Space",
        "",
        'space = Space.load("path/to/this/folder")',
        f"space.encode(items, {modalities[0]!r})   # (n, {config['dim']}) float32",
        "```",
        "",
        "## Encoders",
        "",
        *(f"- {m}: {_and(names)}" for m, names in encoders.items()),
        "",
        *_compatible(card.get("compatible_with")),
        *_training(card),
        *_metrics(card.get("metrics", [])),
        *_citations(encoders, card.get("training", {})),
    ]
    return "\n".join(lines)


def _compatible(earlier: Mapping[str, Any] | None) -> list[str]:
    """Return how vectors of an earlier space are compared, and what that finds on held-out rows."""
    if earlier is None:
        return []
    lines = [
        "## Comparable with an earlier space",
        "",
        f"The first {earlier['dim']} numbers of a vector, brought to length one, are compared with vectors of space "
        f"`{earlier['id'][:12]}`.",
        "",
    ]
    if earlier["held_out"]:
        lines += ["| task | metric | old on old | new on old | new on new | new on old less old on old | n |"]
        lines += ["| --- " * 7 + "|"]
    for task, found in earlier["held_out"].items():
        cells = [f"{e['value']:.3f} [{e['low']:.3f}, {e['high']:.3f}]" for row in found["matrix"] for e in row]
        gain = next(iter(found["gains"]))
        change = f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        lines.append(f"| {task} | {found['metric']} | {' | '.join(cells)} | {change} | {gain['n']} |")
    return [*lines, ""]


def _training(card: Mapping[str, Any]) -> list[str]:
    if not card:
        return []
    if "heads_from" in card:
        came = f"Heads were put in the place of those of space `{card['heads_from'][:12]}`."
        if "encoders_for" in card:
            came += f" So were the encoders of {', '.join(card['encoders_for'])}."
        return ["## Training", "", f"{came} How they were made is not known here.", ""]
    versions = ", ".join(f"{k} {v}" for k, v in card["versions"].items())
    chosen = card.get("training", {}).get("chosen")
    return [
        "## Training",
        "",
        f"- rows: {card['n_train']:,} for training, {card['n_valid']:,} for validation (no group is in both)",
        f"- data digest: `{card['data']}`",
        f"- seed: {card['random_state']}",
        *([f"- chosen by the data: {chosen}"] if chosen else []),
        *(f"- hard negatives, {modality}: {made}" for modality, made in _edited(card)),
        f"- versions: {versions}",
        "",
    ]


def _edited(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return modality and, in words, the edits that were trained against."""
    of = card.get("edits", {}).items()
    return [(m, ", ".join(f"{n:,} by {kind}" for kind, n in kinds.items())) for m, kinds in of]


def _metrics(rows: list[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = [
        "## Figures on held-out data, with 95 % intervals",
        "",
        "| task | metric | value | interval | n | best closed-form baseline |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        base = "" if r.get("baseline") is None else f"{r['baseline']:.3f}"
        interval = f"{r['low']:.3f} to {r['high']:.3f}"
        lines.append(f"| {r['task']} | {r['metric']} | {r['value']:.3f} | {interval} | {r['n']} | {base} |")
    return [*lines, ""]


def _citations(encoders: Mapping[str, list[str]], training: Mapping[str, Any]) -> list[str]:
    """Return one line a paper that the space rests on."""
    used = [("Encoder", name) for names in encoders.values() for name in names]
    for protocol in ("Head", "Objective", "Sampler"):
        spec = training.get(protocol.lower())
        used += [(protocol, name) for name in _names(spec)]
    papers: dict[str, None] = {}
    for protocol, name in used:
        try:
            papers |= dict.fromkeys(str(p) for p in find(protocol, name).papers)
        except (CommonspaceError, LookupError):
            continue  # a class of the user's own, or one whose package is not here
    return ["## Please cite", "", *(f"- {p}" for p in papers), ""] if papers else []


def _names(spec: Any) -> list[str]:
    """Return the method names in a spec: a name, a mapping with a name, or a list of these."""
    if isinstance(spec, str):
        return [spec]
    if isinstance(spec, Mapping):
        return [*_names(spec.get("name")), *_names(spec.get("objective"))]  # some objectives wrap another
    return [name for part in spec for name in _names(part)] if isinstance(spec, list | tuple) else []


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
