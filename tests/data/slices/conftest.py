"""Small sets of generated slices in the folders of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def write_classes(picture):
    """Write so many pictures in each folder, such as {"Training/glioma": 3}, as 0.png, 1.png, …; no two are alike."""
    seeds = count()

    def write(root: Path, folders: Mapping[str, int], suffix: str = ".png") -> Path:
        for folder, number in folders.items():
            (root / folder).mkdir(parents=True)
            for k in range(number):
                Image.fromarray(picture(next(seeds))).save(root / folder / f"{k}{suffix}")
        return root

    return write
