"""One function over many items, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["cores", "on_all_cores"]

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Give the results in the order of the items; closing the iterator leaves out those that have not begun.

    In threads, since NumPy, SciPy and the decoders and encoders of images let go of Python's lock.
    """
    pool = ThreadPoolExecutor(cores())
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption does not wait for the items to come
