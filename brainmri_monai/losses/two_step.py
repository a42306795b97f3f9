"""Loss of type and grade."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["TwoStepLoss"]


class TwoStepLoss(nn.Module):
    r"""Cross-entropy of the type, plus that of the grade given the *true* type (teacher forcing).

    .. math:: \frac{1}{B} \sum_b \alpha\, w_{t_b} [-\log P(t_b)] + \beta\, v_{g_b} [-\log P(g_b \mid t_b)]

    Both sums are divided by the batch size, not by the sum of the weights: so the mean of the gradients of several
    processes is the gradient of their joint batch. A patient without a known grade adds nothing to the second sum.

    Args:
        type_weight: α.
        grade_weight: β.
        type_class_weights: w, one for each of the T types; 1 when left out.
        grade_class_weights: v, one for each of the G grades; 1 when left out.

    Raises:
        ValueError: when α or β is negative, or both are 0.
    """

    def __init__(
        self,
        type_weight: float = 1.0,
        grade_weight: float = 1.0,
        *,
        type_class_weights: Sequence[float] | None = None,
        grade_class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if min(type_weight, grade_weight) < 0 or type_weight + grade_weight == 0:
            raise ValueError(
                f"type_weight and grade_weight must not be negative nor both 0, got {type_weight} and {grade_weight}"
            )
        self.type_weight = type_weight
        self.grade_weight = grade_weight
        self.register_buffer("type_class_weights", _tensor(type_class_weights))
        self.register_buffer("grade_class_weights", _tensor(grade_class_weights))

    def forward(self, log_joint: Tensor, label: Tensor) -> Tensor:
        """
        Args:
            log_joint: B T G, log P(type, grade).
            label: B 2, integers: index of the type, and index of the grade or -1 where it is unknown.

        Returns:
            A scalar.
        """
        types, grades = label[:, 0].long(), label[:, 1].long()
        rows = torch.arange(len(label), device=label.device)
        known = grades >= 0
        grades = grades.clamp(min=0)

        log_type = log_joint.logsumexp(dim=2)[rows, types]  # B
        log_grade = log_joint[rows, types, grades] - log_type  # B
        if self.type_class_weights is not None:
            log_type = log_type * self.type_class_weights.to(log_type)[types]
        if self.grade_class_weights is not None:
            log_grade = log_grade * self.grade_class_weights.to(log_grade)[grades]
        return -(self.type_weight * log_type + self.grade_weight * log_grade * known).sum() / len(label)


def _tensor(weights: Sequence[float] | None) -> Tensor | None:
    return None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
