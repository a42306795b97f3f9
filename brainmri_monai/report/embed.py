"""Pictures inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Picture", "embed"]


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI; ``width`` and ``height`` are CSS pixels."""

    uri: str
    width: int
    height: int
    alt: str


def embed(path: Path, alt: str, *, photo: bool = False) -> Picture:
    """Read a figure at 150 dots an inch and make it small enough for a page.

    Args:
        path: a PNG file.
        alt: what the picture shows, for those who do not see it.
        photo: True for pictures of slices, which become JPEG; diagrams become PNG with 256 colours.
    """
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(path) as image:
        image = image.convert("RGB")
        width, height = (round(side * 96 / 150) for side in image.size)  # the figure's text gets the size of the page's
        if photo:
            image.thumbnail((1000, image.height), Image.Resampling.LANCZOS)
            image.save(buffer, "JPEG", quality=75, optimize=True)
        else:
            image.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    kind = "jpeg" if photo else "png"
    uri = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Picture(uri, width, height, alt)
