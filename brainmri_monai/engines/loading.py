"""Batches that are made beside the work of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.data import DataLoader, ThreadDataLoader
from monai.data.thread_buffer import buffer_iterator

__all__ = ["ThreadLoader"]


class ThreadLoader(ThreadDataLoader):
    """MONAI's ``ThreadDataLoader``, which raises what went wrong in its thread.

    MONAI's ends there as if there were no more data, and the training goes on with what came before.
    """

    def __iter__(self) -> Iterator[Any]:
        errors: list[Exception] = []

        def batches() -> Iterator[Any]:
            try:
                yield from DataLoader.__iter__(self)
            except Exception as error:
                errors.append(error)

        yield from buffer_iterator(batches(), self.buffer_size, self.buffer_timeout, self.repeats)
        if errors:
            raise errors[0]
