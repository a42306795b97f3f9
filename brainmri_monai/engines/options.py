"""Options that several bundles have, checked in one way."""

from __future__ import annotations

from brainmri_monai.errors import BrainMRIError

__all__ = ["require_side"]


def require_side(size: int) -> int:
    """The side of a slice in pixels.

    Raises:
        BrainMRIError: when it is none that a network could use.
    """
    if not isinstance(size, int) or not 16 <= size <= 1024:
        raise BrainMRIError(f"image_size {size!r} is no side of a slice.\nGive --image_size from 16 to 1024 pixels.")
    return size
