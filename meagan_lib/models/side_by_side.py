"""Small fully connected networks, many of one shape, trained side by side.

What a GAN does depends on its first weights, so that one training says little: with these, five cost hardly more.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class SideBySide(nn.Module):
    """Networks x (rows, inputs) → (rows, outputs), or (rows,) with one output; each has weights of its own.

    Rows are dealt out in turn, row i to network i mod ``n``, and no network sees another's rows. A loss that is a mean
    over all rows trains every network on the mean over its own, scaled by 1/n, to which Adam is blind.

    ``n`` networks have ``sizes`` numbers in each layer, from the input to the output, an ``activation`` after every
    layer but the last, ``output`` after the last, and ``dropout`` of each hidden layer. First weights are normal with
    variance 2/(inputs + outputs) of their layer, thresholds 0 (Glorot & Bengio 2010, PMLR 9:249).
    """

    def __init__(
        self,
        n: int,
        sizes: Sequence[int],
        activation: Callable[[Tensor], Tensor] = torch.relu,
        output: Callable[[Tensor], Tensor] | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.n, self.latent, self.activation, self.output = n, sizes[0], activation, output
        self.dropout = nn.Dropout(dropout)
        layers = list(pairwise(sizes))
        self.weights = nn.ParameterList(torch.randn(n, i, o) * (2 / (i + o)) ** 0.5 for i, o in layers)
        self.biases = nn.ParameterList(torch.zeros(n, 1, o) for _, o in layers)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, inputs) → (rows, outputs), or (rows,) with one output."""
        missing = -len(x) % self.n  # rows that the last turn lacks
        h = nn.functional.pad(x, (0, 0, 0, missing)).reshape(-1, self.n, x.shape[1]).transpose(0, 1)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            if layer:
                h = self.dropout(self.activation(h))
            h = torch.baddbmm(bias, h, weight)  # (n, rows / n, outputs)
        h = self.output(h) if self.output else h
        out = h.transpose(0, 1).flatten(0, 1)[: len(x)]
        return out[:, 0] if out.shape[1] == 1 else out
