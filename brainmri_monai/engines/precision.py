"""Arithmetic that suits the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer, SimpleInferer
from torch import Tensor

from brainmri_monai.data.options import WORDS
from brainmri_monai.engines.memory import keep_memory
from brainmri_monai.errors import BrainMRIError

__all__ = ["PRECISIONS", "PrecisionInferer", "choose_precision"]

PRECISIONS = WORDS["precision"]


def choose_precision(precision: str, device: str | torch.device) -> str:
    """What ``auto`` means on a device: bfloat16 where it is native, else float32.

    Without native instructions bfloat16 is emulated, and several times slower than float32.

    Args:
        precision: ``auto``, ``bfloat16`` or ``float32``; the last two are returned as they are.
        device: where the network runs.

    Raises:
        BrainMRIError: when the precision is unknown.
    """
    if precision not in PRECISIONS:
        raise BrainMRIError(f"precision '{precision}' is not one of {', '.join(PRECISIONS)}.\nGive --precision auto.")
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
    return "bfloat16" if native else "float32"


class PrecisionInferer(Inferer):
    """Forward pass in the precision that suits the device; the answer is float32.

    MONAI's engines know autocast for CUDA alone (``amp``), so that it stands here, where trainer and evaluator meet.
    With ``auto`` on a GPU without bfloat16, float32 products use TF32.

    Args:
        precision: ``auto``, ``bfloat16`` or ``float32``.
        inferer: how the network is applied, such as MONAI's ``SlidingWindowInferer``; at once when left out.
    """

    def __init__(self, precision: str = "auto", inferer: Inferer | None = None) -> None:
        super().__init__()
        keep_memory()
        self.precision = precision
        self.inferer = inferer or SimpleInferer()

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Any:
        """``network(inputs, *args, **kwargs)``, under autocast where that helps; a list with deep supervision."""
        with self.autocast(inputs.device):
            answer = self.inferer(inputs, network, *args, **kwargs)
        return [one.float() for one in answer] if isinstance(answer, list | tuple) else answer.float()

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context that :meth:`__call__` runs in, for callers of a network's other methods."""
        chosen = choose_precision(self.precision, device)
        if device.type == "cuda" and self.precision == "auto" and chosen == "float32":
            torch.set_float32_matmul_precision("high")
        return torch.autocast(device.type, torch.bfloat16, enabled=chosen == "bfloat16")
