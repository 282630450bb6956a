"""Augmentation of frozen encoder outputs.

What image crops and word drops do for an end-to-end model has to happen in feature space when encoders are frozen:

    noise     x + noise * std(feature) * N(0, 1)
    drop      a share of the features is replaced by its training mean
    mixup     lam * x_i + (1 - lam) * x_partner(i), lam ~ Beta(mixup, mixup) folded to [1/2, 1]; one lam and one partner
              an item, the same in every modality, so that a pair stays a pair
    variants  an item that was encoded several times (augmented images, rephrased texts) brings a random one a step

Source: the feature-level form of the recipe in "Improved baselines for vision-language pre-training".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from commonspace.align.mixing import beta_draws
from commonspace.core.errors import BadInput


@dataclass(frozen=True)
class Augment:
    """How training features are disturbed; nothing happens at evaluation.

    Parameters
    ----------
    noise : float
        Standard deviation of Gaussian noise, in units of each feature's own.
    drop : float
        Share of the features replaced by their mean, 0 to below 1.
    mixup : float
        Parameter of the Beta distribution; 0 mixes nothing.
    """

    noise: float = 0.0
    drop: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        if self.noise < 0 or self.mixup < 0 or not 0 <= self.drop < 1:
            raise BadInput(f"noise and mixup must not be negative and drop must be in [0, 1), got {self}")

    def __call__(
        self,
        x: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        *,
        mean: Mapping[str, Tensor],
        std: Mapping[str, Tensor],
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Return disturbed copies of one batch.

        Parameters
        ----------
        x : mapping of str to (batch, d) tensor
            Modality -> features.
        present : mapping of str to (batch,) bool tensor
            Mixing happens only between items that have the same modalities.
        mean, std : mapping of str to (d,) tensor
            Moments of the training features.
        generator : torch.Generator
            Where the random numbers come from.
        """
        out = self._mix(x, present, generator) if self.mixup else dict(x)
        for m, rows in out.items():
            if self.noise:
                draw = torch.randn(rows.shape, generator=generator, device=rows.device)
                rows = torch.addcmul(rows, draw, std[m] * self.noise)
            if self.drop:
                gone = torch.rand(rows.shape, generator=generator, device=rows.device) < self.drop
                rows = torch.where(gone, mean[m], rows)
            out[m] = rows
        return out

    def _mix(
        self, x: Mapping[str, Tensor], present: Mapping[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        masks = torch.stack(list(present.values()))
        n, device = masks.shape[1], masks.device
        partner = torch.randperm(n, generator=generator, device=device)
        lam = beta_draws(self.mixup, n, generator)
        lam = torch.maximum(lam, 1 - lam)
        lam = torch.where((masks == masks[:, partner]).all(0), lam, torch.ones_like(lam))[:, None]
        return {m: lam * rows + (1 - lam) * rows[partner] for m, rows in x.items()}


def choose_variant(X: Tensor, index: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a variant of each item: X (n, variants, d), index (batch,) -> (batch, d)."""
    which = torch.randint(X.shape[1], (len(index),), generator=generator, device=X.device)
    return X[index, which]
