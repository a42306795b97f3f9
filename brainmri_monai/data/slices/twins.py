"""Slices that are the same picture: pixel for pixel, or nearly, also when turned or mirrored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from brainmri_monai.data.duplicates import ALL_VIEWS, NEAR, Fingerprint, Pairs, connected, fingerprint, near_pairs

__all__ = ["NEAR_SLICE", "Twins", "find_twins", "twins_of"]

NEAR_SLICE = 0.975
"""Correlation of two thumbnails from which two slices are twins.

Lower than :data:`~brainmri_monai.data.duplicates.NEAR`: here a pair too many only keeps two slices on one side of a
split, and a pair too few leaks. On 5,708 slices of a public set all of some 80 pairs from 0.975 to 0.992 that were
looked at were one slice in two renderings, or neighbours in one scan, and so were the largest groups; the most alike
slices of two classes reached 0.970, apart from three that are mirrored copies under a wrong label.
"""


@dataclass(frozen=True)
class Twins:
    """Which slices belong together.

    Args:
        picture: for each slice the number of its picture; the same for slices that are equal pixel for pixel.
        group: for each slice the number of its group: twins, twins of twins and so on. One without a twin has its own.
        pairs: of slices that are nearly the same, one slice a picture.
    """

    picture: np.ndarray
    group: np.ndarray
    pairs: Pairs

    def groups(self) -> list[list[int]]:
        """The indices of the slices of each group with at least two, the largest group first."""
        return _gathered(self.group)

    def copies(self) -> list[list[int]]:
        """The indices of slices that are equal pixel for pixel, the most frequent picture first."""
        return _gathered(self.picture)

    def only_turned(self) -> list[int]:
        """The indices of the slices all of whose twins are turned or mirrored."""
        upright = self.pairs.view == 0
        plain = {k for own in self.copies() for k in own}
        plain |= {*self.pairs.first[upright].tolist(), *self.pairs.second[upright].tolist()}
        return sorted({k for own in self.groups() for k in own} - plain)

    def contradictions(self, labels: Sequence[str]) -> Iterator[tuple[list[int], bool]]:
        """Give the slices that show one picture under several labels, and whether they are equal pixel for pixel.

        Nearly equal ones are those above :data:`~brainmri_monai.data.duplicates.NEAR`: below, two slices of a scan,
        one with the tumour and one without, may be meant.
        """
        for members in self.copies():
            if len({labels[k] for k in members}) > 1:
                yield members, True
        told: set[tuple[int, int]] = set()
        for a, b, correlation in zip(self.pairs.first, self.pairs.second, self.pairs.correlation, strict=True):
            if correlation > NEAR and labels[a] != labels[b] and (a, b) not in told:
                told.add((a, b))
                yield [int(a), int(b)], False


def find_twins(fingerprints: Sequence[Fingerprint]) -> Twins:
    """Find the groups of twins among slices.

    A slice may be turned by quarters or mirrored: public sets hold such copies, made to have more pictures. 7,000
    slices take a few seconds; the time grows with the square of their number.

    Args:
        fingerprints: one a slice. Next to empty slices are twins only when they are equal.
    """
    numbers: dict[bytes, int] = {}
    picture = np.array([numbers.setdefault(mark.digest, len(numbers)) for mark in fingerprints], dtype=int)
    first_of = np.unique(picture, return_index=True)[1]
    seen = np.array([k for k in first_of if fingerprints[k].thumbnail is not None], dtype=int)
    if not len(seen):
        none = np.empty(0, int)
        return Twins(picture, picture.copy(), Pairs(none, none, np.empty(0, np.float32), none))
    thumbnails = np.stack([fingerprints[k].thumbnail for k in seen])
    found = near_pairs(thumbnails, np.arange(len(seen)), NEAR_SLICE, ALL_VIEWS)
    pairs = found._replace(first=seen[found.first], second=seen[found.second])
    group = connected(len(numbers), picture[pairs.first], picture[pairs.second])[picture]
    return Twins(picture, group, pairs)


def twins_of(pictures: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Tell which pictures are twins of known ones, turned or mirrored too.

    Args:
        pictures, known: N H W and M H W, uint8, prepared in one way.

    Returns:
        N truth values. Next to empty pictures are twins of none.
    """
    thumbnails, index = [], []
    for k, picture in enumerate([*known, *pictures]):
        mark = fingerprint(np.repeat(picture[..., None], 3, axis=2))
        if mark.thumbnail is not None:
            thumbnails.append(mark.thumbnail)
            index.append(k - len(known))
    found = np.zeros(len(pictures), dtype=bool)
    if thumbnails:
        place = np.array(index)
        pairs = near_pairs(np.stack(thumbnails), place >= 0, NEAR_SLICE, ALL_VIEWS)
        found[place[pairs.second]] = True  # the known ones come first
    return found


def _gathered(numbers: np.ndarray) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(numbers.tolist()):
        members[number].append(index)
    return sorted((own for own in members.values() if len(own) > 1), key=len, reverse=True)
