"""One pass that decodes every slice once: what is broken is named, what is whole is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brainmri_monai.data.duplicates import Fingerprint, fingerprint
from brainmri_monai.data.images import read_stack, require_no_strip
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.patients import Problem
from brainmri_monai.data.reporting import with_bar
from brainmri_monai.data.slices.folders import Slice
from brainmri_monai.data.slices.traits import Traits, picture_traits
from brainmri_monai.data.stack import ImageError

__all__ = ["Keep", "SliceReading", "read_all", "read_slice"]

_USUAL = ("L", "RGB", "RGBA", "LA", "P", "1")  # grey or colours of 8 bits or fewer


@dataclass(frozen=True)
class SliceReading:
    """What decoding one slice gave.

    Args:
        item: the slice.
        problems: why it cannot be read, or what is odd about it.
        size: rows and columns, turned as the EXIF data says; None, as all that follows, when it cannot be read.
        mode: how the file stores a pixel, Pillow's mode.
        fingerprint: what twins are found by.
        traits: what tells of the source.
        kept: what else the caller wanted of the pixels.
    """

    item: Slice
    problems: list[Problem] = field(default_factory=list)
    size: tuple[int, int] | None = None
    mode: str | None = None
    fingerprint: Fingerprint | None = None
    traits: Traits | None = None
    kept: Any = None

    @property
    def readable(self) -> bool:
        return self.fingerprint is not None


Keep = Callable[[np.ndarray], Any]


def read_all(items: Sequence[Slice], root: Path, keep: Keep | None = None) -> list[SliceReading]:
    """Read slices on all cores, in their order, as :func:`read_slice` does; a bar shows how far it is."""
    return list(with_bar(on_all_cores(lambda item: read_slice(item, root, keep), items), len(items), "slices"))


def read_slice(item: Slice, root: Path, keep: Keep | None = None) -> SliceReading:
    """Decode one slice; one that cannot be read becomes a problem.

    Args:
        item: the slice.
        root: where problems are seen from.
        keep: makes what is to be kept of the pixels, H W 3.
    """
    try:
        stack = read_stack(item.path)
        (picture,) = stack.slices
        require_no_strip(item.path, picture)
    except ImageError as error:
        return SliceReading(item, [Problem.of(error, root)])
    mark = fingerprint(picture)
    problems = []
    if mark.constant:
        problems.append(Problem("warning", item.id, "the picture is empty (a single value)", "Remove it."))
    if stack.mode not in _USUAL:
        what = f"stored as {stack.mode}, and read all the same"
        problems.append(Problem("warning", item.id, what, "Save it as 8-bit grey, as slices mostly are."))
    kept = keep(picture) if keep else None
    return SliceReading(item, problems, picture.shape[:2], stack.mode, mark, picture_traits(item.path, picture), kept)
