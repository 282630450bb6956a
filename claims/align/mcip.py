"""Whether drawings find each other better, and are still found by name, with losses within the modality.

Icons of several families and emoji of four vendors with their names, concepts of the test part never seen. A drawing
must find those of its concept by other hands; a name must find a drawing. `mcip` and `tcl` beside InfoNCE, which
already knows drawings of one concept as positives of one name. On icons also the other ways of the sources: drawings by
an angular margin over one vector a class alone (`arcface`), and followed by names that are trained towards the frozen
drawings (`2sft`). All take the same number of steps. On splits 100 and 101 both parts of `mcip` and the length of
the queue of `tcl` were chosen; the splits reported are others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from claims._outcome import compared
from claims.align._drawings import emoji_drawings, figures, icon_drawings, trained
from claims.align._figures import Figures
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from commonspace.align.objectives.base import ObjectiveModule
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.views import Views

# What search by name may lose of recall@1, by the whole interval, for the claim to hold.
WORTH = 0.01
SHOWN = ("image->image map", "image->image", "text->image", "image->text", "mixed")


class ArcFace(ObjectiveModule):
    """Softmax over one vector a class with an additive angular margin, on drawings alone."""

    def __init__(self, classes: int, margin: float = 0.2, scale: float = 16.0) -> None:
        super().__init__()
        self.classes, self.margin, self.factor = classes, margin, scale

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        self.centres = nn.Parameter(torch.randn(self.classes, dim))

    def forward(self, views: Views) -> Tensor:
        cosines = views.z["image"] @ normalize(self.centres, dim=1).T
        own = views.groups[:, None]
        angle = torch.acos(cosines.gather(1, own).clamp(-1 + 1e-6, 1 - 1e-6)) + self.margin
        loss: Tensor = cross_entropy(
            self.factor * cosines.scatter(1, own, torch.cos(angle.clamp_max(math.pi))), views.groups
        )
        return loss


class TwoStages(ObjectiveModule):
    """Drawings by ArcFace; then, where there is a second stage, names by InfoNCE towards drawings that stay."""

    def __init__(self, classes: int, switch: float) -> None:
        super().__init__()
        self.first, self.second, self.switch, self.done = ArcFace(classes), InfoNCE(), switch, 0.0

    def prepare(self, heads: Mapping[str, nn.Module], dim: int) -> None:
        self.first.prepare(heads, dim)

    def before_step(self, done: float) -> None:
        self.done = done

    def forward(self, views: Views) -> Tensor:
        if self.done < self.switch:
            return self.first(views)  # type: ignore[no-any-return]
        fixed = dict(views.z) | {"image": views.z["image"].detach()}
        return self.second(replace(views, z=fixed))  # type: ignore[no-any-return]


def systems(classes: int) -> dict[str, Any]:
    """Return the objectives to compare, by name."""
    return {
        "infonce": "infonce",
        "mcip": ["infonce", {"name": "mcip", "items": "image"}],
        "mcip without captions": ["infonce", {"name": "mcip", "items": "image", "joint": 0.0}],
        "tcl": "tcl",
        "tcl across alone": {"name": "tcl", "within": 0.0},
        "arcface": TwoStages(classes, 2.0),
        "2sft": TwoStages(classes, 0.5),
    }


ON_EMOJI = ("infonce", "mcip")


def run(seeds: int = 5, epochs: int = 20) -> dict[str, Any]:
    reached = Figures()
    for seed in range(seeds):
        for kind, (train, test) in (("icons", icon_drawings(seed)), ("emoji", emoji_drawings(seed))):
            for name, objective in systems(int(train.concepts.max()) + 1).items():
                if kind == "icons" or name in ON_EMOJI:
                    heads = trained(train, objective, seed, epochs)
                    reached.add(f"{kind}: {name}", figures({m: heads[m](v) for m, v in test.X.items()}, test))

    def words(kind: str, name: str) -> str:
        systems = f"{kind}: {name}", f"{kind}: infonce"
        return f"{name} {reached.words('image->image map', *systems)} and {reached.words('text->image', *systems)}"

    ours, base = (np.array(reached.values[f"emoji: {name}"]["image->image map"]) for name in ("mcip", "infonce"))
    found = compared(ours, base)
    lost = reached.gain("text->image", "emoji: mcip", "emoji: infonce")
    if found["verdict"] == "holds" and lost[1] < -WORTH:
        found["verdict"] = "depends"
    means = {s: {k: row[k] for k in SHOWN} for s, row in reached.means().items()}
    rest = [name for name in systems(2) if name != "infonce"]
    return {
        "method": "mcip",
        "titles": [
            "Optimizing CLIP Models for Image Retrieval with Maintained Joint-Embedding Alignment",
            "Vision-Language Pre-Training with Triple Contrastive Learning",
        ],
        "claim": "Drawings find each other better, and are still found by name, with losses within the modality.",
        "data": "emoji by four vendors with English names (MiniLM), unseen concepts; figure: mcip, map of drawings "
        "asking for those of other vendors; baseline: InfoNCE",
        **found,
        "sentence": "Gain in map of drawings asking for drawings, and in recall@1 of names asking for drawings. Emoji: "
        f"{'; '.join(words('emoji', n) for n in ON_EMOJI[1:])}. Icons: {'; '.join(words('icons', n) for n in rest)}.",
        "details": {"means": means},
    }


if __name__ == "__main__":
    print(json.dumps(run()))
