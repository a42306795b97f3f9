"""Pictures that are no brain MRI, drawn by code: what a classifier of slices should refuse to answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

__all__ = ["FOREIGN", "draw_foreign"]


def draw_foreign(rng: Generator, kind: str, size: int = 256) -> np.ndarray:
    """Draw one picture.

    Args:
        kind: a key of ``FOREIGN``.
        size: rows and columns.

    Returns:
        H W 3, unsigned bytes.

    Example:
        >>> draw_foreign(np.random.default_rng(0), "text").shape
        (256, 256, 3)
    """
    picture = np.asarray(FOREIGN[kind](rng, size))
    if picture.ndim == 2:
        picture = picture[..., None].repeat(3, axis=2)
    return (255 * picture.clip(0, 1)).round().astype(np.uint8)


def _noise(rng: Generator, size: int) -> np.ndarray:
    """Grey or coloured, even or normal, fine or coarse."""
    from scipy.ndimage import zoom

    channels, grain = rng.choice([1, 3]), rng.choice([1, 2, 4])
    shape = (size // grain, size // grain, channels)
    noise = (
        rng.random(shape) if rng.random() < 0.5 else rng.normal(rng.uniform(0.1, 0.6), rng.uniform(0.05, 0.3), shape)
    )
    return zoom(noise, (grain, grain, 1), order=0).repeat(3 // channels, axis=2)


def _gradient(rng: Generator, size: int) -> np.ndarray:
    """From one colour to another, along a line or outward."""
    y, x = _grid(size)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.hypot(x, y) if rng.random() < 0.4 else x * np.cos(angle) + y * np.sin(angle)
    along = (along - along.min()) / (along.max() - along.min())
    first, last = (rng.random(3), rng.random(3)) if rng.random() < 0.5 else ([rng.random()] * 3, [rng.random()] * 3)
    return _between(first, last, along)


def _blank(rng: Generator, size: int) -> np.ndarray:
    """Black, white or grey throughout; as scanned, with a trace of noise, or not."""
    return rng.choice([0.0, 1.0, rng.random()]) + rng.choice([0, 0.01]) * rng.standard_normal((size, size))


def _photograph(rng: Generator, size: int) -> np.ndarray:
    """A landscape in colour, or as a black and white print: sky, ridges, a meadow, now and then a sun."""
    y, x = _grid(size)
    sky = _between(rng.uniform((0.2, 0.35, 0.6), (0.5, 0.6, 0.9)), rng.uniform((0.6, 0.6, 0.6), 1), (y + 1) / 2)
    picture = sky + 0.15 * _clouds(rng, size, 1.8)[..., None]
    if rng.random() < 0.6:
        sun = np.hypot(x - rng.uniform(-0.8, 0.8), y + rng.uniform(0.4, 0.9)) < rng.uniform(0.06, 0.15)
        picture[sun] = (1, 0.95, 0.8)
    ridges = np.sort(rng.uniform(-0.4, 0.6, size=int(rng.integers(2, 5))))
    for depth, height in enumerate(ridges, start=1):
        below = y > height + 0.25 * _clouds(rng, size, 1.6)[size // 2][None, :]
        colour = rng.uniform((0.1, 0.25, 0.05), (0.5, 0.55, 0.4)) * (1.2 - 0.6 * depth / len(ridges))
        texture = 1 + 0.35 * _clouds(rng, size, rng.uniform(0.6, 1.2))[..., None]
        picture = np.where(below[..., None], colour * texture, picture)
    picture = picture + 0.02 * rng.standard_normal(picture.shape)
    return picture if rng.random() < 0.7 else picture.mean(axis=2)


def _text(rng: Generator, size: int) -> np.ndarray:
    """A page of words, or a negative of one."""
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("L", (size, size), int(rng.integers(225, 256)))
    draw = ImageDraw.Draw(page)
    height = int(rng.integers(size // 28, size // 12))
    font = ImageFont.load_default(height)
    for top in np.arange(size // 16, size - height, 1.4 * height):
        words = ("".join(rng.choice(list("etaoinshrdlcumwfgypb"), rng.integers(2, 10))) for _ in range(size // height))
        draw.text((size // 16, int(top)), " ".join(words), fill=int(rng.integers(0, 60)), font=font)
    draw.rectangle((size - size // 16, 0, size, size), fill=255)
    page = np.asarray(page) / 255
    return page if rng.random() < 0.8 else 1 - page


def _histology(rng: Generator, size: int) -> np.ndarray:
    """Tissue stained with haematoxylin and eosin: pink fibres, purple nuclei, white gaps."""
    from scipy.ndimage import gaussian_filter

    fibres = _clouds(rng, size, 1.2)
    picture = np.array([0.90, 0.65, 0.78]) * (1 + 0.12 * fibres[..., None])
    y, x = np.mgrid[:size, :size]
    nuclei = np.zeros((size, size))
    for _ in range(int(rng.integers(40, 260))):
        centre, angle, radius = rng.uniform(0, size, 2), rng.uniform(0, np.pi), rng.uniform(0.012, 0.03) * size
        dy, dx = y - centre[0], x - centre[1]
        long, short = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        nuclei[np.hypot(long / radius, short / (rng.uniform(0.5, 1) * radius)) < 1] = rng.uniform(0.6, 1)
    nuclei = gaussian_filter(nuclei, size / 300)[..., None]
    picture = picture * (1 - nuclei) + np.array([0.38, 0.22, 0.55]) * nuclei
    gaps = _clouds(rng, size, 1.6) > rng.uniform(0.8, 2)
    picture[gaps] = 0.95
    return picture + 0.015 * rng.standard_normal(picture.shape)


def _ct_body(rng: Generator, size: int) -> np.ndarray:
    """A section through the chest or the belly: lungs or organs, spine, ribs, the table below."""
    y, x = _grid(size)
    wide, high = rng.uniform(0.75, 0.92), rng.uniform(0.5, 0.68)
    outline = np.hypot(x / wide, y / high)
    picture = np.where(outline < 1, 0.35, 0.0)  # fat
    picture[outline < 0.92] = 0.55  # muscle and organs
    if rng.random() < 0.5:
        for side in (-1, 1):
            lung = np.hypot((x - side * 0.42 * wide) / (0.33 * wide), (y + 0.05) / (0.62 * high)) < 1
            picture[lung] = 0.06 + 0.05 * rng.random()
    else:
        for _ in range(int(rng.integers(3, 8))):
            organ = np.hypot(
                (x - rng.uniform(-0.5, 0.5)) / rng.uniform(0.1, 0.3),
                (y - rng.uniform(-0.3, 0.25)) / rng.uniform(0.1, 0.25),
            )
            picture[organ < 1] = rng.uniform(0.45, 0.75)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(8, 15)), endpoint=False):
        rib = np.hypot(x - 0.87 * wide * np.cos(angle), y - 0.87 * high * np.sin(angle))
        picture[rib < 0.045] = 0.95
    picture[np.hypot(x / 0.13, (y - 0.6 * high) / 0.11) < 1] = 0.9
    picture[np.hypot(x / 0.05, (y - 0.72 * high) / 0.05) < 1] = 0.5
    picture[(np.abs(y - high - 0.08 - 0.1 * x**2) < 0.012) & (np.abs(x) < 0.8)] = 0.6
    return picture + 0.03 * rng.standard_normal(picture.shape)


def _ct_head(rng: Generator, size: int) -> np.ndarray:
    """A section through the head: white bone around a brain with little contrast. The nearest to an MRI."""
    from scipy.ndimage import gaussian_filter

    y, x = _grid(size)
    wide, high = rng.uniform(0.55, 0.68), rng.uniform(0.72, 0.85)
    outline = np.hypot(x / wide, y / high)
    picture = np.where(outline < 1.08, 0.35, 0.0)
    picture[outline < 1] = 1.0
    inside = outline < rng.uniform(0.87, 0.92)
    brain = 0.42 + 0.03 * _clouds(rng, size, 1.2)
    for side in (-1, 1):
        brain[np.hypot((x - side * 0.1) / rng.uniform(0.05, 0.08), (y + 0.02) / rng.uniform(0.2, 0.3)) < 1] = 0.25
    brain[np.abs(x) < 0.008] = 0.5
    picture[inside] = brain[inside]
    return gaussian_filter(picture, size / 250) + 0.02 * rng.standard_normal(picture.shape)


FOREIGN: dict[str, Callable[[Generator, int], np.ndarray]] = {
    "noise": _noise,
    "gradient": _gradient,
    "blank": _blank,
    "photograph": _photograph,
    "text": _text,
    "histology": _histology,
    "ct_body": _ct_body,
    "ct_head": _ct_head,
}
"""Kind → what draws it, H W or H W 3 with values from 0 to 1."""


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns from -1 to 1."""
    y, x = np.mgrid[-1 : 1 : 1j * size, -1 : 1 : 1j * size]
    return y, x


def _between(first: np.ndarray, last: np.ndarray, along: np.ndarray) -> np.ndarray:
    """H W 3, from one colour to another as ``along`` H W goes from 0 to 1."""
    return np.asarray(first) * (1 - along[..., None]) + np.asarray(last) * along[..., None]


def _clouds(rng: Generator, size: int, slope: float) -> np.ndarray:
    """Noise whose amplitude falls with the frequency to the power of ``slope``; mean 0, deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * frequency**-slope, s=(size, size))
    return (field - field.mean()) / field.std()
