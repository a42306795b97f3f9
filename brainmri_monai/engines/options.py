"""Options that several bundles have, checked in one way before a run begins."""

from __future__ import annotations

from typing import TypeVar

import torch
from monai.bundle import ConfigParser
from monai.networks.utils import eval_mode

from brainmri_monai.data.options import CHECKED, check_values
from brainmri_monai.errors import BrainMRIError

__all__ = ["require_device", "require_size", "require_values"]

Network = TypeVar("Network", bound=torch.nn.Module)


def require_values(parser: ConfigParser) -> None:
    """Look at the options of a configuration that is running, those that are expressions included.

    Raises:
        BrainMRIError: for a value that is not allowed.
    """
    check_values({name: parser.get_parsed_content(name) for name in CHECKED if name in parser.get()})


def require_device(device: str | torch.device) -> torch.device:
    """The device of this name.

    Raises:
        BrainMRIError: when this machine has no such device.
    """
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise BrainMRIError(
            f"--device {device} cannot be used: {str(error).splitlines()[0]}\n"
            "Give --device cpu, or leave it out: a GPU is used where there is one."
        ) from error


def require_size(network: Network, size: int) -> Network:
    """The network, when it takes slices of ``size`` rows and columns: 1 3 H W.

    Raises:
        BrainMRIError: when it takes others, such as those of its source alone.
    """
    with eval_mode(network):
        try:
            network(torch.zeros(1, 3, size, size))
        except RuntimeError as error:
            raise BrainMRIError(
                f"--image_size {size} does not fit the network: {str(error).splitlines()[0]}.\n"
                "Leave it out, or name a network for slices of any size with --config, such as resnet18."
            ) from error
    return network
