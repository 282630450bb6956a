"""`mlp`: a small residual perceptron: y = W2 dropout(gelu(norm(W1 x))) + S x.

The linear shortcut S starts the head as good as a linear one, and the perceptron adds what a matrix cannot say. This is
the projector that suffices to align frozen encoders in "From Unimodal to Multimodal: Scaling up Projectors to Align
Modalities".
"""

from __future__ import annotations

from typing import Unpack

from torch import nn

from commonspace.align.heads.base import HeadInputs, HeadModule, Residual
from commonspace.align.heads.dropout import Dropout
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive


@register(
    "mlp",
    protocol="Head",
    synonyms=("projector", "freeze-align"),
    claim="align/freeze_align",
    papers=[
        Paper(
            "From Unimodal to Multimodal: Scaling up Projectors to Align Modalities",
            2024,
            "https://arxiv.org/abs/2409.19425",
        )
    ],
)
class MLP(HeadModule):
    """A perceptron with a linear shortcut.

    Parameters
    ----------
    hidden : int
        Width of the hidden layers.
    layers : int
        Number of hidden layers.
    dropout, input_dropout : float
        Share of hidden units, and of inputs, silenced in training.
    norm : {"layer", "batch", None}
        Normalisation before each activation.
    activation : {"gelu", "relu"}
        Activation of the hidden layers.
    shortcut : bool
        Whether the linear shortcut is added.
    """

    def __init__(
        self,
        *,
        hidden: int = 1024,
        layers: int = 1,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        norm: str | None = "layer",
        activation: str = "gelu",
        shortcut: bool = True,
        **inputs: Unpack[HeadInputs],
    ) -> None:
        super().__init__(**inputs)
        self.hidden = check_positive("hidden", hidden)
        self.layers = check_positive("layers", layers)
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.norm = norm
        self.activation = activation
        self.shortcut = shortcut
        check_choice("norm", norm, ("layer", "batch", None))
        check_choice("activation", activation, ("gelu", "relu"))
        steps: list[nn.Module] = [Dropout(input_dropout)] if input_dropout else []
        width = self.d_in
        for _ in range(layers):
            steps.append(nn.Linear(width, hidden))
            if norm is not None:
                steps.append(nn.LayerNorm(hidden) if norm == "layer" else nn.BatchNorm1d(hidden))
            steps += [nn.GELU() if activation == "gelu" else nn.ReLU(), Dropout(dropout)]
            width = hidden
        main = nn.Sequential(*steps, nn.Linear(width, self.dim))
        self.net = Residual(main, nn.Linear(self.d_in, self.dim, bias=False)) if shortcut else main
