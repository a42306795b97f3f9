"""From the instances of a bag to the bag: mean, max, attention, gated attention, transformer.

Each takes features B N F and a mask B N (True where an instance exists), and returns the bag's vector B F together with
weights B N that sum to 1 and are 0 where the mask is False. They stand here because MONAI's ``MILModel`` has no mask:
padded instances would take part in its softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AttentionPool", "GatedAttentionPool", "MaxPool", "MeanPool", "TransformerPool"]


def require_instances(mask: Tensor) -> None:
    """
    Raises:
        ValueError: when a row of the mask, B N, is False throughout.
    """
    if not bool(mask.any(dim=1).all()):
        raise ValueError("every bag needs an instance: the mask is False for a whole row")


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the instances that exist, B N → B N; in float32, since bfloat16 keeps only 8 bits of a weight."""
    return torch.softmax(scores.float().masked_fill(~mask, float("-inf")), dim=1)


def weighted_sum(weights: Tensor, features: Tensor) -> Tensor:
    """B N and B N F → B F."""
    return torch.einsum("bn,bnf->bf", weights.to(features.dtype), features)


class MeanPool(nn.Module):
    """Mean of the instances; every instance weighs the same."""

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        require_instances(mask)
        weights = mask.float() / mask.sum(dim=1, keepdim=True)  # B N
        return weighted_sum(weights, features), weights


class MaxPool(nn.Module):
    """Largest value of each feature; an instance weighs by the share of the features that it gave."""

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        require_instances(mask)
        bag, winner = features.masked_fill(~mask.unsqueeze(-1), float("-inf")).max(dim=1)  # B F, B F
        share = torch.ones_like(winner, dtype=torch.float32) / winner.shape[1]
        weights = torch.zeros_like(mask, dtype=torch.float32).scatter_add(1, winner, share)  # B N
        return bag, weights


class AttentionPool(nn.Module):
    r"""Weighted mean of the instances, with weights that are learned from the instances themselves.

    .. math:: z = \sum_n a_n h_n, \qquad a = \operatorname{softmax}_n\bigl(w^\top \tanh(V h_n)\bigr)

    Args:
        in_features: F, length of an instance's vector.
        attention_features: length of the hidden attention layer.

    Source:
        Ilse, Tomczak, Welling: Attention-based Deep Multiple Instance Learning, ICML 2018, eq. 7-8.

    Example:
        >>> bag, weights = AttentionPool(8)(torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool))
        >>> bag.shape, weights.shape
        (torch.Size([2, 8]), torch.Size([2, 5]))
    """

    def __init__(self, in_features: int = 256, attention_features: int = 128) -> None:
        super().__init__()
        self.score = nn.Sequential(
            nn.Linear(in_features, attention_features),
            nn.Tanh(),
            nn.Linear(attention_features, 1),
        )

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        require_instances(mask)
        weights = masked_softmax(self.score(features).squeeze(-1), mask)  # B N
        return weighted_sum(weights, features), weights


class GatedAttentionPool(nn.Module):
    r"""Attention whose hidden layer is gated, :math:`w^\top (\tanh(V h_n) \odot \sigma(U h_n))`.

    Args:
        in_features: F, length of an instance's vector.
        attention_features: length of the hidden attention layer.

    Source:
        Ilse, Tomczak, Welling: Attention-based Deep Multiple Instance Learning, ICML 2018, eq. 9.
    """

    def __init__(self, in_features: int = 256, attention_features: int = 128) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, attention_features)
        self.gate = nn.Linear(in_features, attention_features)
        self.score = nn.Linear(attention_features, 1)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        require_instances(mask)
        gated = torch.tanh(self.hidden(features)) * torch.sigmoid(self.gate(features))  # B N A
        weights = masked_softmax(self.score(gated).squeeze(-1), mask)  # B N
        return weighted_sum(weights, features), weights


class TransformerPool(nn.Module):
    """Self-attention among the instances, read out by a class token.

    The order of the slices is not told to it: no position enters. The weights are those with which the class token of
    the last layer looks at the instances, averaged over the heads.

    Args:
        in_features: F, length of an instance's vector, a multiple of ``heads``.
        heads: attention heads of a layer.
        layers: number of layers.
        dropout: probability within the layers.

    Source:
        Shao et al.: TransMIL, NeurIPS 2021, without its approximation of attention and its position encoding: the bags
        here hold tens of instances, not thousands.
    """

    def __init__(self, in_features: int = 256, heads: int = 4, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, in_features) * 0.02)
        self.layers = nn.ModuleList(TransformerLayer(in_features, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(in_features)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        require_instances(mask)
        token = self.token.to(features.dtype).expand(features.shape[0], -1, -1)
        x = torch.cat([token, features], dim=1)  # B 1+N F
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)  # B 1+N
        weights = mask.float()
        for layer in self.layers:
            x, weights = layer(x, mask)
        weights = weights[:, 1:].float()  # B N, without what the token gives to itself
        return self.norm(x[:, 0]), weights / weights.sum(dim=1, keepdim=True)


class TransformerLayer(nn.Module):
    """One pre-norm transformer layer that also tells how its first token looks at the others."""

    def __init__(self, features: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.attention = nn.MultiheadAttention(features, heads, dropout=dropout, batch_first=True)
        self.mlp = nn.Sequential(
            nn.LayerNorm(features),
            nn.Linear(features, 2 * features),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * features, features),
        )

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        normed = self.norm(x)
        mixed, weights = self.attention(normed, normed, normed, key_padding_mask=~mask, need_weights=True)
        assert weights is not None  # for TorchScript: need_weights is True
        x = x + mixed
        return x + self.mlp(x), weights[:, 0]
