"""What the name of a file tells: the case, and which of its modalities it is, or its label map."""

from __future__ import annotations

import re
from typing import NamedTuple

from brainmri_monai.data.brats.conventions import CONVENTIONS, Convention

__all__ = ["LABEL", "ROLES", "CaseId", "FileName", "conventions_of", "parse_case", "parse_file", "stem"]

LABEL = "label"

_SECOND_CHOICE = ("automated_approx_segm", "glistrboost")  # a person's label map is there as well for some patients
_WORDS = {
    "t1c": ("t1ce", "t1c", "t1gd"),
    "t1": ("t1", "t1n", "t1w"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f"),
    LABEL: ("seg", "segm", "tumor_segmentation", "gtv", "glistrboost_manuallycorrected", *_SECOND_CHOICE),
}
ROLES = {word: role for role, words in _WORDS.items() for word in words}
"""Word in a file's name → modality, or "label"."""

_SINCE_2023 = ("t1n", "t2w", "t2f")
_FILE = re.compile(
    rf"((?P<case>.+?)[-_])?(?P<word>{'|'.join(sorted(ROLES, key=len, reverse=True))})(?P<bias>_bias)?", re.IGNORECASE
)


class FileName(NamedTuple):
    """The name of a file, taken apart.

    Args:
        case: the id of the case; None when the name is the word alone, as in ``flair.nii.gz``.
        role: one of ``MODALITIES``, or "label".
        since_2023: whether it uses a word that the sets before 2023 did not.
        second: whether another file of the same role goes first: a label map drawn by hand, or an image as scanned
            before one whose bias field was taken out.
    """

    case: str | None
    role: str
    since_2023: bool
    second: bool


class CaseId(NamedTuple):
    """What the id of a case tells."""

    patient: str
    timepoint: str | None
    site: str | None


def stem(name: str) -> str:
    """Give a file's name without the ending of NIfTI files."""
    return re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)


def parse_file(name: str) -> FileName | None:
    """Take the name of a file apart; None when it ends with no modality and no word for a label map.

    Example:
        >>> parse_file("BraTS-GLI-00005-100-t2f.nii.gz")
        FileName(case='BraTS-GLI-00005-100', role='flair', since_2023=True, second=False)
    """
    if not (found := _FILE.fullmatch(stem(name))):
        return None
    word = found["word"].lower()
    second = bool(found["bias"]) or word in _SECOND_CHOICE
    return FileName(found["case"], ROLES[word], word in _SINCE_2023, second)


def conventions_of(case: str) -> tuple[Convention, ...]:
    """Give the conventions whose cases are named so; none for a foreign name."""
    return tuple(c for c in CONVENTIONS.values() if re.fullmatch(c.ids, case, re.IGNORECASE))


def parse_case(case: str) -> CaseId:
    """Take the id of a case apart; a foreign one is a patient of one time point.

    Example:
        >>> parse_case("Brats18_TCIA01_221_1")
        CaseId(patient='Brats18_TCIA01_221', timepoint='1', site='TCIA01')
    """
    if not (known := conventions_of(case)):
        return CaseId(case, None, None)
    parts = re.fullmatch(known[0].ids, case, re.IGNORECASE).groupdict()
    patient = re.sub(r"(?<=UCSF-PDGM-)\d+", lambda number: number[0].zfill(4), parts["patient"])  # 004 is 0004
    return CaseId(patient, parts.get("timepoint"), parts.get("site"))
