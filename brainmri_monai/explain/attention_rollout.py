"""Where a vision transformer looks."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brainmri_monai.explain.maps import as_batch, to_map
from brainmri_monai.explain.watching import attention_kept, evaluating

__all__ = ["attention_rollout"]


@torch.no_grad()
def attention_rollout(network: nn.Module, image: Tensor) -> NDArray:
    """How much of each patch reaches the class token through all layers.

    A layer passes on half of what it gets by its residual connection, and half by its attention, averaged over the
    heads. Unlike Grad-CAM it tells nothing about the class that is answered.

    Args:
        network: holds MONAI's attention blocks, with the class token first, such as ``VisionTransformer``; is not
            changed.
        image: C H W or 1 C H W, square.

    Returns:
        h w, the patches of the slice: 0 for the one of which least reaches the token, 1 for the one of which most does.
            Zeros when they are all alike.

    Raises:
        ValueError: when the network has no such block, or more than one slice is given.

    Source:
        Abnar, Zuidema: Quantifying Attention Flow in Transformers, ACL 2020.
    """
    batch = as_batch(image)
    with evaluating(network), attention_kept(network) as blocks:
        if not blocks:
            raise ValueError(f"expected a vision transformer, found {type(network).__name__} without attention blocks")
        network(batch)
        weights = [block.att_mat[0].mean(dim=0) for block in blocks]  # N N
    tokens = len(weights[0])
    reaching = torch.eye(tokens, device=batch.device)
    for attention in weights:
        reaching = (attention + torch.eye(tokens, device=batch.device)) / 2 @ reaching
    side = round((tokens - 1) ** 0.5)
    shares = reaching[0, 1:].view(side, side)
    return to_map(shares - shares.min() * (1 + 1e-5))  # most of it is alike in all patches, and hides what differs
