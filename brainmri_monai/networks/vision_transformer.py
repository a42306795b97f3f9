"""A vision transformer that classifies slices."""

from __future__ import annotations

from monai.networks.nets import ViT
from torch import Tensor, nn

__all__ = ["VisionTransformer"]


class VisionTransformer(nn.Module):
    """MONAI's ``ViT`` with Mish, answering the logits alone, which MONAI's engines expect of a network.

    The defaults are the sizes of the source. In its code the slices of a batch attend to each other, and four numbers
    stand between the class token and the answer; MONAI's has neither fault.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the answer.
        img_size: H and W, a multiple of ``patch_size``.
        patch_size: side of a patch.
        hidden_size: length of a patch's vector, a multiple of ``num_heads``.
        mlp_dim: hidden units of each feed-forward layer.
        num_layers: number of layers.
        num_heads: attention heads of a layer.
        dropout_rate: probability within the layers.

    Shape:
        B C H W → B F, logits; 21,457,924 parameters with the defaults.

    Raises:
        ValueError: when ``img_size`` is no multiple of ``patch_size``.

    Source:
        Dosovitskiy et al.: An Image is Worth 16x16 Words, ICLR 2021. Sizes: Lusardi, Tallone, Zappi: Multi-Model
        Approach for Brain Tumor Classification and Segmentation, University of Trieste, 2024.

    Example:
        >>> VisionTransformer()(torch.rand(2, 3, 128, 128)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 4,
        img_size: int = 128,
        patch_size: int = 16,
        hidden_size: int = 512,
        mlp_dim: int = 1024,
        num_layers: int = 10,
        num_heads: int = 8,
        dropout_rate: float = 0.2,
    ) -> None:
        super().__init__()
        if img_size % patch_size:  # MONAI's would leave out the last rows and columns
            raise ValueError(f"expected slices of a multiple of {patch_size} pixels, found {img_size}")
        self.body = ViT(
            in_channels=in_channels,
            img_size=img_size,
            patch_size=patch_size,
            hidden_size=hidden_size,
            mlp_dim=mlp_dim,
            num_layers=num_layers,
            num_heads=num_heads,
            classification=True,
            num_classes=num_classes,
            dropout_rate=dropout_rate,
            spatial_dims=2,
            post_activation="",  # the default squashes the logits
            qkv_bias=True,
        )
        for block in self.body.blocks:
            block.mlp.fn = nn.Mish()
            block.norm_cross_attn = nn.Identity()  # never used: its parameters would stop training on several GPUs

    def forward(self, slices: Tensor) -> Tensor:
        """Classify slices, B C H W → B F."""
        return self.body(slices)[0]
