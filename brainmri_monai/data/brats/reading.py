"""One case, read from end to end: what it measures, and what is wrong with it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.conventions import Convention
from brainmri_monai.data.brats.volumes import grid_errors, label_voxels, open_volume, read_modalities, voxel_ml
from brainmri_monai.data.nifti import has_orientation
from brainmri_monai.data.patients import Problem
from brainmri_monai.data.stack import ImageError

if TYPE_CHECKING:
    from nibabel import Nifti1Image

__all__ = ["BRAIN_ML", "VolumeReading", "brain_doubts", "read_volumes"]

BRAIN_ML = (300.0, 2300.0)
"""Between which a brain without its skull lies: the largest have about 2000 ml, a head has 3500 and more."""

_OUTSIDE = 0.05  # of the label's voxels may lie where the images are 0: some sets cut the brain out tightly
_STRIP = "Take the skull away, as with HD-BET or SynthStrip: networks for BraTS know brains alone."
_LOOK = "Look at the images, and export them again where they are wrong."

Doubts = Iterator[tuple[str, str]]  # what a person should look at, and a remedy


@dataclass(frozen=True)
class VolumeReading:
    """What reading one case gave.

    Args:
        case: which.
        problems: what is wrong with it.
        shape: voxels along the stored axes; None when no image can be read, as for those below.
        spacing: millimetres between voxels along them.
        axes: their directions, such as "LPS".
        values: of the label map, beside 0; None when there is none that can be read.
        brain_ml: how much of the space is not 0 in all images.
        sums: modality → checksum of its voxels.
    """

    case: Case
    problems: list[Problem] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None
    axes: str | None = None
    values: tuple[int, ...] | None = None
    brain_ml: float = 0.0
    sums: dict[str, int] = field(default_factory=dict)


def read_volumes(case: Case, root: Path, convention: Convention | None) -> VolumeReading:
    """Read one case, a file at a time; a file that cannot be used becomes a problem, the others go on.

    Args:
        case: which.
        root: where problems are seen from.
        convention: what the labels mean, when it is known.
    """
    from nibabel import aff2axcodes
    from nibabel.affines import voxel_sizes

    headers, errors = _open(case)
    masks: dict[str, np.ndarray] = {}  # modality → H W D, boolean: where it is not 0
    sums: dict[str, int] = {}
    label = values = None
    for file, header in headers.items():
        try:
            if file == case.label:
                label, values = label_voxels(file, header, convention)
            else:
                for modality, volume in read_modalities(case, file, header):
                    masks[modality] = volume != 0
                    sums[modality] = zlib.crc32(np.ascontiguousarray(volume.T))
        except ImageError as error:
            errors.append(error)
    problems = [Problem.of(error, root, case.patient) for error in errors]
    problems += [
        Problem("error", case.id, f"{one} and {other} hold the same voxels", "Copy the right file.", case.patient)
        for one, other in combinations(sums, 2)
        if sums[one] == sums[other]
    ]
    some = next((headers[file] for file in case.files if file in headers), None)
    if some is None:
        return VolumeReading(case, problems, values=values)
    ml = voxel_ml(some.affine)
    brain = np.zeros(some.shape[:3], dtype=bool)
    for mask in masks.values():
        if mask.shape == brain.shape:
            brain |= mask
    doubts = [*_orientation_doubts(headers), *_label_doubts(label, brain if masks else None)]
    if convention is None or convention.stripped:
        doubts += brain_doubts({modality: mask.sum() * ml for modality, mask in masks.items()})
    problems += [Problem("warning", case.id, what, remedy, case.patient) for what, remedy in doubts]
    return VolumeReading(
        case,
        problems,
        shape=some.shape[:3],
        spacing=tuple(float(size) for size in voxel_sizes(some.affine)),
        axes="".join(aff2axcodes(some.affine)),
        values=values,
        brain_ml=float(brain.sum() * ml),
        sums=sums,
    )


def _open(case: Case) -> tuple[dict[Path, Nifti1Image], list[ImageError]]:
    """Read all headers of a case, and compare their grids."""
    headers: dict[Path, Nifti1Image] = {}
    errors = []
    for file in (*case.files, *filter(None, [case.label])):
        try:
            headers[file] = open_volume(file, () if file == case.label else case.channels)
        except ImageError as error:
            errors.append(error)
    if headers:
        errors += grid_errors(headers)
    return headers, errors


def _orientation_doubts(headers: dict[Path, Nifti1Image]) -> Doubts:
    """Tell which headers leave open where left and right are."""
    if lacking := [file.name for file, header in headers.items() if not has_orientation(header)]:
        yield f"no orientation in the header of {', '.join(lacking)}", _LOOK


def _label_doubts(label: np.ndarray | None, brain: np.ndarray | None) -> Doubts:
    """Tell what is odd about a label map: nothing in it, or much of it beside the brain."""
    if label is None:
        return
    tumour = label > 0
    if not tumour.any():
        yield "the label map is empty", "Nothing to do where the patient has no tumour; else add the labels."
    elif brain is not None and tumour.shape == brain.shape and (outside := (~brain[tumour]).mean()) > _OUTSIDE:
        yield f"{outside:.0%} of the label lies where the images are 0", "Look whether the label is of these images."


def brain_doubts(millilitres: dict[str, float]) -> Doubts:
    """Tell what no brain without its skull looks like, by how much of each modality is not 0."""
    low, high = BRAIN_ML
    if large := [f"{modality} {ml:.0f} ml" for modality, ml in millilitres.items() if ml > high]:
        yield f"skull not stripped? A brain has at most {high:.0f} ml, not 0 are {', '.join(large)}", _STRIP
    if small := [f"{modality} {ml:.0f} ml" for modality, ml in millilitres.items() if ml < low]:
        yield f"hardly a brain: it has at least {low:.0f} ml, not 0 are {', '.join(small)}", _LOOK
