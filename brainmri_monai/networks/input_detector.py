"""How unlike the training slices a picture is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from brainmri_monai.networks.picture_statistics import NUM_STATISTICS, picture_statistics

__all__ = ["InputDetector"]

FOLDS = 5
FLOOR = 1e-3  # of a variance: no direction counts without bound because the training slices do not vary along it


class InputDetector(nn.Module):
    """Mahalanobis distance of a picture's statistics to those of the training slices, and the limit of the familiar.

    The statistics are those of the picture, not a network's features. On 904 drawn and inverted pictures of nine kinds,
    with a limit that called 1 in 200 slices foreign, distances between features before the last layer of ``CustomCNN``
    found 41 %, their residual after a PCA 40 %, its energy none, and these statistics 89 %: all but CTs of the head.

    Nothing is foreign until :meth:`fit` has been called.

    Shape:
        B 72, what :meth:`describe` gives → B, distances; 0 before the fit.

    Source:
        Mahalanobis distance as a detector: Lee et al.: A Simple Unified Framework for Detecting Out-of-Distribution
        Samples and Adversarial Attacks, NeurIPS 2018. Energy: Liu et al.: Energy-based Out-of-distribution Detection,
        NeurIPS 2020.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_STATISTICS))
        self.register_buffer("whitening", torch.zeros(NUM_STATISTICS, NUM_STATISTICS))
        self.register_buffer("limit", torch.tensor(float("inf")))

    def forward(self, statistics: Tensor) -> Tensor:
        """How unlike the training slices, B 72 → B."""
        return ((statistics - self.mean) @ self.whitening).square().sum(dim=1).sqrt()

    @torch.jit.export
    def describe(self, image: Tensor) -> Tensor:
        """What the distance is measured between, B C H W → B 72."""
        return picture_statistics(image)

    @torch.jit.export
    def foreign(self, distance: Tensor) -> Tensor:
        """Which distances lie beyond the limit, B → B, boolean; one that is no number is beyond any."""
        return ~(distance <= self.limit)

    @torch.no_grad()
    def fit(self, statistics: Tensor, groups: Tensor, share: float = 0.005) -> None:
        """Learn what training slices look like, and put the limit where a share of them lies beyond it.

        For the limit each slice is measured from those of other groups, in five folds, as a new slice would be. Slices
        that were held out for validation would be too few: the limit then hangs on three or four pictures.

        Args:
            statistics: of training slices, N 72.
            groups: N numbers; slices of a group are alike.
            share: of the slices, which may be called foreign.

        Raises:
            ValueError: when there are fewer than three groups.
        """
        folds = groups.unique(return_inverse=True)[1]
        if folds.max() < 2:
            raise ValueError(f"expected slices of at least three groups, found {int(folds.max()) + 1}")
        folds %= FOLDS
        distances = []
        for fold in folds.unique():
            self._learn(statistics[folds != fold])
            distances.append(self(statistics[folds == fold]))
        self._learn(statistics)
        self.limit.copy_(torch.quantile(torch.cat(distances).double(), 1 - share))

    def _learn(self, statistics: Tensor) -> None:
        statistics = statistics.double()
        mean, deviation = statistics.mean(dim=0), statistics.std(dim=0).clamp(min=FLOOR)
        z = (statistics - mean) / deviation
        variances, axes = torch.linalg.eigh(z.T @ z / (len(z) - 1))
        self.mean.copy_(mean)
        self.whitening.copy_(axes / deviation.unsqueeze(1) / variances.clamp(min=FLOOR).sqrt())
