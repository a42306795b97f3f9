"""What several processes of one run have to agree on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

__all__ = [
    "begin_processes",
    "end_processes",
    "gather",
    "is_main_process",
    "main_process_first",
    "processes",
    "rank",
    "share_buffers",
]


def rank() -> int:
    """Number of this process among those of the run; 0 when it is the only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes the run has."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main_process() -> bool:
    """Whether this process is rank 0, or the only one."""
    return rank() == 0


@contextmanager
def main_process_first() -> Iterator[None]:
    """Rank 0 runs the block while the others wait; then they run it, and find what rank 0 left on disk.

    When rank 0 fails, the others stop with it instead of waiting for ever.
    """
    if not dist.is_initialized():
        yield
        return
    failed = [False]
    if is_main_process():
        try:
            yield
        except BaseException:
            failed = [True]
            raise
        finally:
            dist.broadcast_object_list(failed, src=0)
    else:
        dist.broadcast_object_list(failed, src=0)
        if failed[0]:
            time.sleep(20)  # rank 0 tells what was wrong: when it ends, the launcher ends the others
            raise SystemExit(2)
        yield


def begin_processes(device: str | torch.device) -> None:
    """Join the group of the processes that torchrun has started, if this one is not in it yet.

    They wait for a day where torch would give up after 10 or 30 minutes: while rank 0 prepares a data set or draws a
    report, the others have nothing to say. So a process that never comes is waited for as long.

    Args:
        device: of this process.
    """
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=1))


def end_processes(network: DistributedDataParallel) -> None:
    """Wait for all processes of a training, and leave their group.

    The network holds on to the group, whose threads would then run on while Python ends, and now and then abort it. So
    does ``torch._dynamo`` when it is first imported inside the group: the configuration imports it before.

    Args:
        network: cannot be used any more.
    """
    dist.barrier()
    vars(network).clear()
    dist.destroy_process_group()


def gather(items: list[Any]) -> list[Any]:
    """The items of all processes, in the order of the ranks; each process gets all of them."""
    if not dist.is_initialized():
        return items
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def share_buffers(network: nn.Module) -> None:
    """Give each process the buffers of rank 0, such as the statistics of a batch norm, which saw other samples."""
    if dist.is_initialized():
        for buffer in network.buffers():
            dist.broadcast(buffer, src=0)
