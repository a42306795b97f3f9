"""Loss of overlapping regions."""

from __future__ import annotations

from monai.losses import DeepSupervisionLoss, DiceLoss
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

    def forward(self, logits: Tensor | list[Tensor], regions: Tensor) -> Tensor:
        """
        Args:
            logits: B R H W D. With deep supervision a list of them, the finest first, or B N R H W D; each counts half
                as much as the one before.
            regions: B R H W D, 0 or 1.

        Returns:
            A scalar.
        """
        if isinstance(logits, Tensor):
            if logits.ndim == regions.ndim:
                return self.of_one(logits, regions)
            logits = list(logits.unbind(dim=1))
        return DeepSupervisionLoss(self.of_one)(logits, regions) / sum(0.5**n for n in range(len(logits)))

    def of_one(self, logits: Tensor, regions: Tensor) -> Tensor:
        """The loss of logits B R H W D."""
        regions = regions.to(logits.dtype)
        return self.dice_weight * self.dice(logits, regions) + self.bce_weight * self.bce(logits, regions)
