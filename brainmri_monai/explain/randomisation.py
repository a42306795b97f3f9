"""Whether a map shows what the network has learned: it must change when the weights do."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["cascading_randomisation"]


def cascading_randomisation(
    network: nn.Module, image: Tensor, explain: Callable[[nn.Module, Tensor], NDArray], seed: int = 0
) -> dict[str, float]:
    """Draw the weights of the layers anew, one after the other from the last, and compare each map with the first.

    Args:
        network: is not changed.
        image: C H W.
        explain: gives the map H W of a network and a slice, for the same class each time.
        seed: of the weights.

    Returns:
        layer → rank correlation with the map of the trained network, once it and all later layers are drawn anew; from
        the last layer to the first. NaN where a map is flat.

    Source:
        Adebayo et al.: Sanity Checks for Saliency Maps, NeurIPS 2018.
    """
    first = explain(network, image)
    changed = copy.deepcopy(network)
    layers = [(name, m) for name, m in changed.named_modules() if hasattr(m, "reset_parameters") and [*m.parameters()]]
    correlations = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in reversed(layers):
            layer.reset_parameters()
            correlations[name] = _rank_correlation(first, explain(changed, image))
    return correlations


def _rank_correlation(first: NDArray, second: NDArray) -> float:
    from scipy.stats import rankdata

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
