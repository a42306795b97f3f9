"""Arrays on disk, one a patient or case, read without being copied into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.data.patients import list_folder
from brainmri_monai.files import replacing

__all__ = ["ArrayStore"]


class ArrayStore:
    """Arrays that are made once and memory-mapped ever after.

    The operating system keeps what is used in memory and drops it when memory is needed elsewhere, so that neither the
    machine's size nor a container's limit has to be guessed. An array is made anew when its source files change. Two
    runs may share a store: arrays appear whole or not at all.

    Args:
        folder: where the arrays lie. It can be deleted at any time between runs.
        recipe: names how the arrays are made; another recipe makes other arrays.
    """

    def __init__(self, folder: str | Path, recipe: str) -> None:
        self.folder = Path(folder)
        self.recipe = recipe

    def path(self, image: str | Path | Sequence[str | Path], read_as: str = "") -> Path:
        """Where the array of ``image``, a patient's files, lies or would lie; see :meth:`get`."""
        digest = hashlib.sha256((self.recipe + read_as).encode())
        for file in map(Path, [image] if isinstance(image, (str, Path)) else image):
            for found in sorted(list_folder(file)) if file.is_dir() else [file]:
                status = found.stat() if found.exists() else None  # what is missing, ``make`` tells
                state = f"{status.st_size}\0{status.st_mtime_ns}" if status else "missing"
                digest.update(f"{found}\0{state}\0".encode())
        return self.folder / f"{digest.hexdigest()[:32]}.npy"

    def get(
        self, image: str | Path | Sequence[str | Path], make: Callable[..., np.ndarray], read_as: str = ""
    ) -> np.ndarray:
        """The array of ``image``: from the store, else made by ``make`` and stored.

        Args:
            image: a patient's files.
            make: what makes the array of them.
            read_as: what these files are taken for, where they do not tell it: another meaning makes another array.

        Returns:
            A memory map of the array; writing to it changes neither the file nor what others see.
        """
        path = self.path(image, read_as)
        if not path.exists():
            array = make(image)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, array)
        return np.load(path, mmap_mode="c")
