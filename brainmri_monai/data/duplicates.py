"""Images that occur twice: pixel for pixel, or nearly, as after a new export with another contrast or size."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

__all__ = [
    "ALL_VIEWS",
    "AS_IT_IS",
    "MIRRORED_TOO",
    "NEAR",
    "SIDE",
    "Duplicates",
    "Fingerprint",
    "Pairs",
    "connected",
    "find_duplicates",
    "fingerprint",
    "near_pairs",
]

SIDE = 32
"""Rows and columns of a thumbnail."""

COARSE = 8  # those of the thumbnail that picks the candidates

NEAR = 0.99
"""Correlation of two thumbnails from which they show the same picture.

On 5,708 slices of a public set with many copies, all pairs above 0.98 that were looked at were the same slice, at most
sharpened or with another contrast; over 71 patients, the most alike slices of two of them reached 0.983, mirrored too.
"""

AS_IT_IS = (0,)
MIRRORED_TOO = (0, 4)
ALL_VIEWS = tuple(range(8))
"""A picture turned by so many quarters, and from 4 on mirrored left to right after that."""

_COARSE_LESS = 0.005  # a pair of that set above 0.97 (0.99) was above 0.973 (0.991) on the thumbnails of 8 x 8
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # as in Pillow's mode "L"
_DARK = 10  # grey levels of 255
_ROWS = 512  # of the matrix of all pairs that are in memory at a time
_PAIRS = 65536  # whose thumbnails are compared at a time


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a slice to recognise it.

    Args:
        digest: of the decoded pixels: equal for a PNG and a BMP of the same picture.
        thumbnail: 32 x 32, uint8, stretched to 0..255; None for a slice with next to nothing on it, which is like any
            other such slice.
        constant: all pixels are the same.
    """

    digest: bytes
    thumbnail: np.ndarray | None
    constant: bool


@dataclass(frozen=True)
class Duplicates:
    """Slices of several owners that show the same picture.

    Args:
        members: their indices, rising.
        exact: all are equal pixel for pixel.
    """

    members: tuple[int, ...]
    exact: bool


def fingerprint(picture: np.ndarray) -> Fingerprint:
    """Take what is needed to recognise a slice, a kilobyte.

    Args:
        picture: H W 3, uint8 or float32.
    """
    digest = hashlib.sha256(f"{picture.shape}{picture.dtype}".encode())
    digest.update(np.ascontiguousarray(picture))
    whole = picture.dtype == np.uint8
    grey = Image.fromarray(picture).convert("L") if whole else Image.fromarray(picture @ _LUMA)
    thumbnail = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    low, high = thumbnail.min(), thumbnail.max()
    stretched = ((thumbnail - low) * (255 / max(high - low, np.float32(1e-12)))).astype(np.uint8)
    # a slice beyond the head: dark all over, or with a small bright spot
    blank = high - low < (_DARK if whole else 1e-12) or (stretched > 25).mean() < 0.05
    return Fingerprint(digest.digest(), None if blank else stretched, bool(picture.min() == picture.max()))


def find_duplicates(fingerprints: Sequence[Fingerprint], owners: Sequence[Hashable]) -> list[Duplicates]:
    """Find slices of different owners that are the same picture, or its mirror image.

    Two slices of one owner are not compared, because neighbouring slices of a patient are alike by nature, and blank
    slices are left out. Candidates are the pairs whose 8 x 8 thumbnails correlate (a perceptual hash that is not
    rounded to bits); what decides is the correlation of the 32 x 32 thumbnails. The time grows with the square of the
    number of slices.

    Args:
        fingerprints: one a slice.
        owners: whose each slice is, such as the patient's id.
    """
    same: dict[bytes, list[int]] = defaultdict(list)  # digest → slices
    for index, each in enumerate(fingerprints):
        if each.thumbnail is not None:
            same[each.digest].append(index)
    copies = list(same.values())
    if not copies:
        return []
    # the owner of a picture as a number, one of its own when it has several: such a picture is compared with all
    numbers: dict[Hashable, int] = {}
    holders = [frozenset(owners[k] for k in slices) for slices in copies]
    owner = np.array([numbers.setdefault(h if len(h) == 1 else i, len(numbers)) for i, h in enumerate(holders)])
    pairs = near_pairs(np.stack([fingerprints[slices[0]].thumbnail for slices in copies]), owner, views=MIRRORED_TOO)
    groups: dict[int, list[int]] = defaultdict(list)
    for group, slices in zip(connected(len(copies), pairs.first, pairs.second), copies, strict=True):
        groups[group] += slices
    return [
        Duplicates(tuple(sorted(members)), len({fingerprints[k].digest for k in members}) == 1)
        for members in groups.values()
        if len({owners[k] for k in members}) > 1
    ]


class Pairs(NamedTuple):
    """Pairs of pictures that are alike, one entry each: the lower index, the higher, their correlation, the view."""

    first: np.ndarray
    second: np.ndarray
    correlation: np.ndarray
    view: np.ndarray


_NO_PAIRS = Pairs(*(np.empty(0, kind) for kind in (int, int, np.float32, int)))


def near_pairs(thumbnails: np.ndarray, owner: np.ndarray, near: float = NEAR, views: Iterable[int] = AS_IT_IS) -> Pairs:
    """Find all pairs of different owners whose thumbnails correlate.

    Args:
        thumbnails: N 32 32.
        owner: N numbers; pictures of one owner are not compared.
        near: correlation from which a pair is alike.
        views: how the second of a pair may be turned or mirrored, see :data:`ALL_VIEWS`. A pair that is alike in
            several views has an entry for each.
    """
    if not len(thumbnails):
        return _NO_PAIRS
    fine = _standardised(thumbnails)  # N 1024
    coarse = _coarse(thumbnails)  # N 64
    found = [_NO_PAIRS]
    for view in views:
        turned = np.rot90(thumbnails, view % 4, axes=(1, 2))[:, :, :: -1 if view > 3 else 1]
        fine_turned, coarse_turned = (fine, coarse) if view == 0 else (_standardised(turned), _coarse(turned))
        for start in range(0, len(coarse), _ROWS):
            rows = coarse[start : start + _ROWS]
            alike = rows @ coarse_turned[start:].T > near - _COARSE_LESS
            alike &= owner[start : start + _ROWS, None] != owner[None, start:]
            candidates = np.argwhere(np.triu(alike, 1)) + start
            for a, b in (candidates[k : k + _PAIRS].T for k in range(0, len(candidates), _PAIRS)):
                correlation = np.einsum("nk,nk->n", fine[a], fine_turned[b])
                kept = correlation > near
                found.append(Pairs(a[kept], b[kept], correlation[kept], np.full(int(kept.sum()), view)))
    return Pairs(*map(np.concatenate, zip(*found, strict=True)))


def connected(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Number the groups that pairs of ``count`` things form; the group of each thing."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _coarse(thumbnails: np.ndarray) -> np.ndarray:
    step = SIDE // COARSE
    return _standardised(thumbnails.reshape(-1, COARSE, step, COARSE, step).mean(axis=(2, 4)))


def _standardised(thumbnails: np.ndarray) -> np.ndarray:
    """Give rows of mean 0 and length 1, whose products are correlations."""
    rows = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
