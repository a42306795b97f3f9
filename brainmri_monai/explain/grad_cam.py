"""Where each convolutional layer finds what speaks for a class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from brainmri_monai.explain.maps import as_batch, enlarge, to_map
from brainmri_monai.explain.places import layer_places
from brainmri_monai.explain.watching import evaluating, outputs_kept
from brainmri_monai.networks.slice_classifier import SliceClassifier

__all__ = ["convolutions", "grad_cam", "layer_maps"]


def convolutions(network: nn.Module) -> list[str]:
    """Names of the 2D convolutions of a network, in order."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]


def grad_cam(
    network: SliceClassifier,
    image: Tensor,
    layers: Sequence[str] | None = None,
    target: int | None = None,
    plus_plus: bool = False,
) -> dict[str, NDArray]:
    """Grad-CAM of one slice, as large as the slice, each cell where it looks.

    Args, Raises and Source as for :func:`layer_maps`.

    Returns:
        name of the layer → H W, from 0 to 1.
    """
    maps = layer_maps(network, image, layers, target, plus_plus)
    places = layer_places(network.body, image)
    return {name: enlarge(picture, image.shape[-2:], places.get(name)) for name, picture in maps.items()}


def layer_maps(
    network: SliceClassifier,
    image: Tensor,
    layers: Sequence[str] | None = None,
    target: int | None = None,
    plus_plus: bool = False,
) -> dict[str, NDArray]:
    """Grad-CAM of one slice, each map in its layer's own resolution, from one pass forward and one backward.

    Written here because MONAI's ``GradCAM`` leaves its hooks and the gradients of the parameters in the network, gives
    one layer a pass, and turns the map upside down. The score is the logit: a calibrated probability near 1 has hardly
    a gradient.

    Args:
        network: is not changed.
        image: C H W or 1 C H W.
        layers: names within ``network.body``; each of its convolutions when left out. A layer whose output is a single
            pixel has no map.
        target: index of the class; the predicted one when left out.
        plus_plus: Grad-CAM++, whose weights follow where the gradient is positive, so that several places count.

    Returns:
        name of the layer → h w, from 0 to 1; 0 throughout when nothing speaks for the class.

    Raises:
        ValueError: when there is no such layer, no layer has a map, or more than one slice is given.

    Source:
        Selvaraju et al.: Grad-CAM, ICCV 2017. Chattopadhay et al.: Grad-CAM++, WACV 2018, with the exponential of the
        score, for which the weights have a closed form.
    """
    batch = as_batch(image).detach().requires_grad_()  # so that frozen layers have gradients too
    wanted = convolutions(network.body) if layers is None else list(layers)
    with evaluating(network), torch.enable_grad(), outputs_kept(network.body, wanted) as outputs:
        logits = network.head(network.features(batch))
        score = logits[0, int(logits.argmax()) if target is None else target]
        kept = {name: outputs[name] for name in wanted if outputs[name][0, 0].numel() > 1}
        if not kept:
            raise ValueError(f"expected a convolution whose output has several pixels, found none among {wanted}")
        gradients = torch.autograd.grad(score, list(kept.values()))
    combine = _plus_plus if plus_plus else _plain
    return {name: to_map(combine(a[0].detach(), g[0])) for (name, a), g in zip(kept.items(), gradients, strict=True)}


def _plain(activation: Tensor, gradient: Tensor) -> Tensor:
    """K h w each → h w: channels weighted by their mean gradient."""
    return (gradient.mean(dim=(1, 2), keepdim=True) * activation).sum(dim=0)


def _plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """K h w each → h w: channels weighted by their positive gradients, of which equation 19 gives each pixel's share.

    It was derived for maps after a ReLU, so that what a convolution puts out is taken as a ReLU would leave it: a
    negative sum would turn the weights around, and negative values would blacken the map.
    """
    positive, activation = gradient.clamp(min=0), activation.clamp(min=0)
    total = activation.sum(dim=(1, 2), keepdim=True)
    share = positive**2 / (2 * positive**2 + total * positive**3).clamp(min=torch.finfo(positive.dtype).tiny)
    return ((share * positive).sum(dim=(1, 2), keepdim=True) * activation).sum(dim=0)
