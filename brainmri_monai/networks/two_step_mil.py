"""Type and grade of a tumour from a bag of slices."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor, nn

from brainmri_monai.networks.norms import replace_norms

__all__ = ["NUM_GRADES", "TwoStepHead", "TwoStepMIL"]

NUM_GRADES = 4  # WHO grades 1 to 4


class TwoStepHead(nn.Module):
    """From the features of a bag's slices to its type, and to its grade given each type.

    Args:
        pool: maps features B N F and a mask B N to the bag's vector B F and weights B N (see ``networks.pooling``).
        num_types: T, number of tumour types.
        features: F, length of a slice's vector.
        dropout: probability before the two classifiers; Monte Carlo dropout uses it too.
    """

    def __init__(self, pool: nn.Module, num_types: int, features: int = 256, dropout: float = 0.2) -> None:
        super().__init__()
        self.num_grades = NUM_GRADES
        self.pool = pool
        self.dropout = nn.Dropout(float(dropout))  # the compiler of scripts refuses 0
        self.type_classifier = nn.Linear(features, num_types)
        self.grade_classifier = nn.Linear(features, num_types * NUM_GRADES)
        # fitted on validation patients after the training: 1 leaves the logits as they are
        self.register_buffer("type_temperature", torch.ones(()))
        self.register_buffer("grade_temperature", torch.ones(()))

    def logits(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Uncalibrated logits of type B T and of grade B T G, and the slices' weights B N."""
        bag, weights = self.pool(features, mask)
        bag = self.dropout(bag)
        grade = self.grade_classifier(bag).view(bag.shape[0], -1, self.num_grades)  # B T G
        return self.type_classifier(bag), grade, weights

    def forward(self, features: Tensor, mask: Optional[Tensor] = None) -> Tensor:  # noqa: UP045 (TorchScript)
        """Calibrated joint log-probabilities B T G of features B F N, the slices last as in an image."""
        if mask is None:
            mask = torch.ones((features.shape[0], features.shape[2]), dtype=torch.bool, device=features.device)
        return self.log_joint(features.transpose(1, 2), mask)

    def log_joint(self, features: Tensor, mask: Tensor) -> Tensor:
        """Calibrated joint log-probabilities B T G of features B N F."""
        type_logits, grade_logits, _ = self.logits(features, mask)
        log_type = torch.log_softmax(type_logits.float() / self.type_temperature, dim=1)  # B T
        log_grade = torch.log_softmax(grade_logits.float() / self.grade_temperature, dim=2)  # B T G
        return log_type.unsqueeze(-1) + log_grade


class TwoStepMIL(nn.Module):
    r"""A patient's slices → tumour type, and grade conditioned on the type.

    The answer is one tensor, :math:`\log P(type, grade) = \log P(type) + \log P(grade \mid type)`. Both follow from it
    exactly: the type by summing over the grades, the grade end to end by summing over the types.

    Written here because MONAI's ``MILModel`` has no mask, no second step, and takes its slices on the second axis.

    Args:
        num_types: T, number of tumour types; there are always G = 4 grades.
        encoder: maps slices B C H W to vectors B F: ours, or any 2D classification network of MONAI's.
        pool: maps features B N F and a mask B N to the bag's vector B F and weights B N (see ``networks.pooling``).
        features: F, length of a slice's vector.
        dropout: probability before the two classifiers.

    Source:
        Ilse, Tomczak, Welling: Attention-based Deep Multiple Instance Learning, ICML 2018, for the bag.

    Example:
        >>> network = TwoStepMIL(3, encoder=SmallCNN(), pool=AttentionPool())
        >>> network(torch.rand(2, 3, 64, 64, 5)).exp().sum(dim=(1, 2))
        tensor([1., 1.])
    """

    def __init__(
        self, num_types: int, encoder: nn.Module, pool: nn.Module, features: int = 256, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.chunk = 32  # slices that are encoded at once in evaluation
        self.encoder = replace_norms(encoder).to(memory_format=torch.channels_last)
        self.head = TwoStepHead(pool, num_types, features, dropout)

    def forward(self, image: Tensor, mask: Optional[Tensor] = None) -> Tensor:  # noqa: UP045 (TorchScript)
        """
        Args:
            image: B C H W N, a volume whose slices lie on the last axis, with values in [0, 1].
            mask: B N, boolean, True where a slice exists; all exist when it is left out.

        Returns:
            B T G, the calibrated log P(type, grade).

        Raises:
            ValueError: when a bag has no slice.
        """
        mask = self.whole(image) if mask is None else mask
        return self.head.log_joint(self.encode(image, mask), mask)

    @torch.jit.export
    def encode(self, image: Tensor, mask: Tensor) -> Tensor:
        """The slices' vectors, B C H W N → B N F; 0 where the mask is False."""
        slices = image.permute(0, 4, 1, 2, 3)[mask]  # M C H W, those that exist: padding costs nothing
        slices = slices.contiguous(memory_format=torch.channels_last)
        if self.training:
            vectors = self.encoder(slices)  # M F, all at once for the batch norm
        else:
            vectors = torch.cat([self.encoder(part) for part in slices.split(self.chunk)])  # for a bounded memory
        features = torch.zeros(mask.shape + vectors.shape[1:], dtype=vectors.dtype, device=vectors.device)
        features[mask] = vectors
        return features

    @torch.jit.export
    def type_logits(self, image: Tensor, mask: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Uncalibrated logits of the type, B T."""
        mask = self.whole(image) if mask is None else mask
        return self.head.logits(self.encode(image, mask), mask)[0]

    @torch.jit.export
    def grade_logits(self, image: Tensor, mask: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Uncalibrated logits of the grade given each type, B T G."""
        mask = self.whole(image) if mask is None else mask
        return self.head.logits(self.encode(image, mask), mask)[1]

    @torch.jit.export
    def attention(self, image: Tensor, mask: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        """Weight of each slice, B N; the weights of a patient sum to 1."""
        mask = self.whole(image) if mask is None else mask
        return self.head.logits(self.encode(image, mask), mask)[2]

    def whole(self, image: Tensor) -> Tensor:
        """The mask of bags without padding, B N."""
        return torch.ones((image.shape[0], image.shape[4]), dtype=torch.bool, device=image.device)
