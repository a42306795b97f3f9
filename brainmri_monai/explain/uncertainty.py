"""How unsure an answer is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from brainmri_monai.networks.two_step_mil import TwoStepHead

__all__ = ["MonteCarloDropout"]


@dataclass(frozen=True)
class MonteCarloDropout:
    """Predictive entropy of the type from repeated answers with dropout left on.

    The dropout lies behind the encoder, so that the slices are encoded once and only the head answers repeatedly.

    Args:
        samples: how many answers.
        seed: of the dropout, so that the same bag gets the same numbers again.

    Source:
        Gal, Ghahramani: Dropout as a Bayesian Approximation, ICML 2016. Mutual information: Houlsby et al. 2011.
    """

    samples: int = 30
    seed: int = 0

    def __call__(self, head: TwoStepHead, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            head: whose dropout is used; it is left in the mode in which it was.
            features: B N F.
            mask: B N, True where a slice exists.

        Returns:
            B, the entropy of the mean answer, and B, the mutual information between answer and dropout; both in nats.
        """
        was_training = head.training
        head.eval()
        head.dropout.train()
        try:
            with torch.random.fork_rng(devices=[features.device] if features.is_cuda else []):
                torch.manual_seed(self.seed)
                answers = torch.stack([head.log_joint(features, mask) for _ in range(self.samples)])  # S B T G
        finally:
            head.train(was_training)
        types = answers.logsumexp(dim=-1).exp()  # S B T
        entropy = _entropy(types.mean(dim=0))
        return entropy, (entropy - _entropy(types).mean(dim=0)).clamp(min=0)


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(dim=-1)
