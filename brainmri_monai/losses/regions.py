"""Loss of overlapping regions."""

from __future__ import annotations

from monai.losses import DiceLoss
from torch import Tensor, nn

__all__ = ["RegionLoss"]


class RegionLoss(nn.Module):
    """Dice loss plus binary cross-entropy, each region on its own.

    MONAI's ``DiceCELoss`` takes a softmax over the channels, as if regions excluded each other.

    Args:
        dice_weight: of the Dice loss, which is taken over the whole batch.
        bce_weight: of the cross-entropy.

    Example:
        >>> RegionLoss()(torch.zeros(1, 3, 8, 8, 8), torch.ones(1, 3, 8, 8, 8))
        tensor(1.0260)
    """

    def __init__(self, dice_weight: float = 1.0, bce_weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight = dice_weight
        self.bce_weight = bce_weight
        # a region that is nowhere in the batch costs nothing where nothing is predicted
        self.dice = DiceLoss(sigmoid=True, batch=True, smooth_nr=1.0, smooth_dr=1.0)
        self.bce = nn.BCEWithLogitsLoss()

    def forward(self, logits: Tensor, regions: Tensor) -> Tensor:
        """
        Args:
            logits: B R H W D.
            regions: B R H W D, 0 or 1.

        Returns:
            A scalar.
        """
        regions = regions.to(logits.dtype)
        return self.dice_weight * self.dice(logits, regions) + self.bce_weight * self.bce(logits, regions)
