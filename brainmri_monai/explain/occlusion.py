"""What a network misses when a part of the slice is hidden."""

from __future__ import annotations

import warnings

import torch
from monai.visualize import OcclusionSensitivity
from numpy.typing import NDArray
from torch import Tensor

from brainmri_monai.explain.maps import as_batch, to_map
from brainmri_monai.explain.watching import evaluating
from brainmri_monai.networks.slice_classifier import SliceClassifier

__all__ = ["occlusion"]


@torch.no_grad()
def occlusion(
    network: SliceClassifier, image: Tensor, target: int | None = None, mask_size: int = 24, overlap: float = 0.6
) -> NDArray:
    """How far the probability of a class falls when a soft dark spot hides each place, by MONAI's sensitivity.

    Args:
        network: is not changed.
        image: C H W or 1 C H W, larger than the spot.
        target: index of the class; the predicted one when left out.
        mask_size: side of the spot in pixels.
        overlap: of neighbouring spots; more takes longer.

    Returns:
        H W, from 0 to 1; 0 where hiding changes nothing, or makes the class more likely.

    Raises:
        ValueError: when more than one slice is given, or the spot is larger than the slice.

    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014.
    """
    batch = as_batch(image)
    with evaluating(network):
        whole = network(batch)[0].exp()  # T
        chosen = int(whole.argmax()) if target is None else target
        sensitivity = OcclusionSensitivity(
            network, mask_size=mask_size, n_batch=32, verbose=False, overlap=overlap, activate=torch.exp
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using a non-tuple sequence")  # MONAI 1.6.1 indexes with lists of slices
            hidden, _ = sensitivity(batch)  # 1 T H W
    return to_map(whole[chosen] - torch.as_tensor(hidden)[0, chosen])
