"""How unlike the training data an input is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

__all__ = ["InputDetector"]


class InputDetector(nn.Module):
    r"""Mahalanobis distance of a vector to the training vectors, and the limit beyond which it is foreign.

    The covariance has ``k`` free directions and one variance for all others, so that a few hundred vectors fit it:

    .. math:: d^2 = \sum_{i \le k} \frac{p_i^2}{\lambda_i} + \frac{\lVert z \rVert^2 - \lVert p \rVert^2}{\sigma^2}

    with z the standardised vector and p its components in the directions of largest variance. Nothing is foreign until
    :meth:`fit` and :meth:`fit_limit` have been called. All sizes are known beforehand, so that a state dict loads.

    Args:
        features: F, length of a vector.
        directions: k at most.

    Shape:
        B F → B, distances; 0 before the fit.

    Source:
        Tipping, Bishop: Probabilistic Principal Component Analysis, J. R. Stat. Soc. B 1999. As a detector: Lee et al.:
        A Simple Unified Framework for Detecting Out-of-Distribution Samples, NeurIPS 2018.
    """

    def __init__(self, features: int, directions: int = 64) -> None:
        super().__init__()
        count = min(directions, features)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.register_buffer("directions", torch.zeros(features, count))
        self.register_buffer("precision", torch.zeros(count))  # 1 / λ
        self.register_buffer("residual_precision", torch.zeros(()))  # 1 / σ²
        self.register_buffer("limit", torch.tensor(float("inf")))

    def forward(self, vectors: Tensor) -> Tensor:
        """How unlike the training vectors, B F → B."""
        z = (vectors.float() - self.mean) / self.deviation
        p = z @ self.directions  # B k
        residual = (z.square().sum(dim=1) - p.square().sum(dim=1)).clamp(min=0)
        return ((p.square() * self.precision).sum(dim=1) + residual * self.residual_precision).sqrt()

    @torch.jit.export
    def foreign(self, distance: Tensor) -> Tensor:
        """Which distances lie beyond the limit, B → B, boolean; one that is no number is beyond any."""
        return ~(distance <= self.limit)

    @torch.no_grad()
    def fit(self, vectors: Tensor) -> None:
        """Learn what training vectors N F look like.

        Raises:
            ValueError: when there are fewer than two.
        """
        if len(vectors) < 2:
            raise ValueError(f"expected at least two vectors, found {len(vectors)}")
        vectors = vectors.double()
        mean, deviation = vectors.mean(dim=0), vectors.std(dim=0).clamp(min=1e-6)
        z = (vectors - mean) / deviation
        few = len(z) < z.shape[1]
        squares, axes = torch.linalg.eigh(z @ z.T if few else z.T @ z)  # ascending, of the smaller product
        count = len(self.precision)
        squares, axes = squares.flip(0)[:count].clamp(min=0), axes.flip(1)[:, :count]
        axes = normalize(z.T @ axes, dim=0) if few else axes  # F k
        directions = pad(axes, (0, count - axes.shape[1]))
        variances = pad(squares, (0, count - len(squares))) / (len(z) - 1)
        # no direction counts without bound because the training data happen not to vary along it
        floor = 1e-3
        rest = (z.square().sum() / (len(z) - 1) - variances.sum()) / max(z.shape[1] - count, 1)
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        self.directions.copy_(directions)
        self.precision.copy_(1 / variances[:count].clamp(min=floor))
        self.residual_precision.copy_(1 / rest.clamp(min=floor))

    @torch.no_grad()
    def fit_limit(self, distances: Tensor, share: float = 0.005) -> None:
        """Put the limit where a share of validation distances N lies beyond it."""
        self.limit.copy_(torch.quantile(distances.double(), 1 - share))
