"""How much memory is left, how much a network takes, and what becomes of what it frees."""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["available_memory", "give_back_memory", "is_out_of_memory", "keep_memory", "network_bytes"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_UNLIMITED = 1 << 60  # what a control group without a limit shows is larger
_SCRATCH, _COPIES = 1.5, 64
"""What convolutions and kept blocks take beside the tensors, as a factor, and bytes a voxel of input and output in
another layout.

With SegResNet, U-Net, attention U-Net, DynUNet and MedNeXt at 96 x 128 x 96 in float32, the estimate is 1.0 to 1.6
times what the process was seen to take.
"""


def available_memory(device: str | torch.device = "cpu", root: str | Path = "/") -> int:
    """Bytes that can be taken: of the GPU, or of the machine and of the container's limits, whichever is less.

    Args:
        device: where the tensors will lie.
        root: below which ``proc`` and ``sys`` lie.
    """
    if torch.device(device).type == "cuda":
        kept_by_torch = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept_by_torch
    return min([_machine(Path(root)), *_groups(Path(root))])


def keep_memory() -> None:
    """From now on the process keeps the memory of its freed tensors for the next ones.

    By itself glibc gives a large block back to the system at once, which then has to clear the pages of the next one:
    up to half of the time of a network on volumes or large slices. The peak grows, as the blocks that are kept do not
    always fit. Other libraries of C are left as they are.
    """
    if (library := _glibc()) is not None:
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, -1)


def give_back_memory() -> None:
    """Give the system the memory that :func:`keep_memory` holds and no tensor uses."""
    if (library := _glibc()) is not None:
        library.malloc_trim(0)


def network_bytes(network: Callable[[Tensor], object], example: Tensor) -> float:
    """Bytes that a network takes for each voxel of its input, beside its weights.

    Args:
        network: B C H W D → anything.
        example: a small window, 1 C H W D, on the network's device.
    """
    voxels = example[0, 0].numel()
    with torch.no_grad(), _Peak() as seen:
        network(example)
    return _SCRATCH * seen.peak / voxels + _COPIES


class _Peak(TorchDispatchMode):
    """Watches the tensors that come and go, and keeps the most bytes that they held at once."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(answer):
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in self.alive:
                self.alive.add(storage._cdata)
                self.live += storage.nbytes()
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())
        return answer

    def _free(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.live -= size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch or Python tells that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        words in said for words in ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
    )


def _glibc() -> ctypes.CDLL | None:
    """The library of C of this process, where it is GNU's."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


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
