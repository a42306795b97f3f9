"""How much memory is left, and how much a network takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["available_memory", "is_out_of_memory", "network_bytes"]

_UNLIMITED = 1 << 60  # what a control group without a limit shows is larger
_LIVE = 3.0
"""How many of its largest activations a network holds at once: a layer's input and output, and the one to be added."""


def available_memory(device: str | torch.device = "cpu", root: str | Path = "/") -> int:
    """Bytes that can be taken: of the GPU, or of the machine and of the container's limits, whichever is less.

    Args:
        device: where the tensors will lie.
        root: below which ``proc`` and ``sys`` lie.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([_machine(Path(root)), *_groups(Path(root))])


def network_bytes(network: nn.Module, channels: int, divisible: int, dtype: torch.dtype) -> float:
    """Bytes that the activations of a network take for each voxel of its input, estimated on a small window.

    Args:
        network: B C H W D → B R H W D.
        channels: C.
        divisible: by which the sides of a window must be divisible.
        dtype: of the activations.
    """
    side = divisible * math.ceil(32 / divisible)
    largest = 0

    def look(module: nn.Module, given: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel())

    leaves = [module for module in network.modules() if not any(module.children())]
    hooks = [module.register_forward_hook(look) for module in leaves]
    try:
        some = next(network.parameters(), torch.zeros(()))
        with torch.inference_mode():
            network(torch.zeros(1, channels, side, side, side, device=some.device, dtype=some.dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return _LIVE * dtype.itemsize * largest / side**3


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch or Python tells that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in said for words in ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
    )


def _machine(root: Path) -> int:
    try:
        for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    return _UNLIMITED


def _groups(root: Path) -> Iterator[int]:
    """What the limits of the process's control groups leave, of versions 1 and 2, the group itself and those above."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            folder, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            folder = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        parts = Path(path.lstrip("/")).parts
        for depth in range(len(parts) + 1):  # in a container the path may be that of the machine: what is there counts
            left = _left(folder.joinpath(*parts[:depth]), names)
            if left is not None:
                yield left


def _left(folder: Path, names: Sequence[str]) -> int | None:
    limit, used, cache = names
    try:
        maximum = (folder / limit).read_text(encoding="ascii").strip()
        if not maximum.isdigit() or int(maximum) >= _UNLIMITED:
            return None
        taken = int((folder / used).read_text(encoding="ascii"))
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == cache:
                taken -= int(value)  # copies of files, which are dropped when memory is needed
        return max(int(maximum) - taken, 0)
    except (OSError, ValueError):
        return None
