"""Which cases of a BraTS data set a folder holds, with their files, patients, grades and sites."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from brainmri_monai.data.brats.conventions import CONVENTIONS, MODALITIES, Convention, find_convention
from brainmri_monai.data.brats.detection import detect
from brainmri_monai.data.brats.files import STACKED, CaseFiles, find_files
from brainmri_monai.data.brats.names import LABEL, ROLES, parse_case
from brainmri_monai.data.brats.slice_files import refuse_slice_files
from brainmri_monai.data.brats.tables import Facts, key_of, read_facts
from brainmri_monai.data.patients import Problem
from brainmri_monai.errors import BrainMRIError

__all__ = ["Case", "CaseSet", "find_volumes", "scan_volumes"]

_GRADE_FOLDERS = ("HGG", "LGG")
_EXPECTED = (
    "Name the files <case>_t1ce, _t1, _t2, _flair and _seg (or -t1c, -t1n, -t2w, -t2f, -seg), or lay them out as MSD."
)


@dataclass(frozen=True)
class Case:
    """One examination of a patient: the modalities, and the label map where there is one.

    Args:
        id: what the names of its files begin with.
        patient: whose examination it is: all cases of a patient belong into the same part of a split.
        timepoint: which examination of the patient, where the id tells.
        images: modality → absolute path; empty when ``stacked``.
        label: absolute path of the label map.
        grade: as the tables or folders beside the case tell it, such as "HGG".
        site: the hospital, as the tables or the id tell it.
        stacked: absolute path of the one 4D file that holds all modalities.
        channels: the order of modalities in that file.
    """

    id: str
    patient: str
    timepoint: str | None = None
    images: dict[str, Path] = field(default_factory=dict)
    label: Path | None = None
    grade: str | None = None
    site: str | None = None
    stacked: Path | None = None
    channels: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the modalities."""
        return (self.stacked,) if self.stacked else tuple(self.images.values())

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the files hold."""
        return self.channels or tuple(self.images)


@dataclass(frozen=True)
class CaseSet:
    """The cases of a root, and what was wrong there.

    Args:
        root: the absolute path of the folder; of a single file, the folder in which it lies.
        convention: what the labels mean; None when that is in doubt, for :func:`find_volumes` only without labels.
        cases: those that can be used, in natural order of their ids.
        problems: what was left out, and why.
    """

    root: Path
    convention: Convention | None
    cases: list[Case]
    problems: list[Problem]


def find_volumes(
    root: str | Path, convention: str | None = None, allow_missing: bool = False, labelled: bool = True
) -> CaseSet:
    """Find the cases of a data set, in four files each, or in one 4D file each (Medical Segmentation Decathlon).

    Args:
        root: the folder of the data set, of some of its cases or of one, or one 4D file.
        convention: a name of ``CONVENTIONS``; found out from names and label values when left out.
        allow_missing: keep cases that lack a modality, for networks that were trained to do without.
        labelled: whether the labels are needed; where they are not, a doubt about their meaning is no error.

    Raises:
        BrainMRIError: when no case can be used, or labels may mean two things: both are named.

    Example:
        >>> found = find_volumes("MICCAI_BraTS2020_TrainingData")
        >>> found.convention.name, found.cases[0].id, found.cases[0].grade
        ('brats2020', 'BraTS20_Training_001', 'HGG')
    """
    found, doubt = _scan(root, convention, allow_missing)
    if not found.cases:
        what, remedy = f"found no case with the modalities {', '.join(MODALITIES)}", _EXPECTED
        if found.problems:
            first = found.problems[0]
            what = f"none of the cases can be used ({len(found.problems)} problems), first {first.where}: {first.what}"
            remedy = first.remedy
        raise BrainMRIError(f"{what}\n{found.root}\n{remedy}")
    if doubt and doubt.severity == "error" and labelled:
        raise BrainMRIError(f"{doubt.what}\n{found.root}\n{doubt.remedy}")
    if doubt and not labelled:
        doubt = replace(doubt, severity="warning")
    return replace(found, problems=[*found.problems, *filter(None, [doubt])])


def scan_volumes(root: str | Path, convention: str | None = None) -> CaseSet:
    """Find cases as :func:`find_volumes` does, but give the problems also when nothing can be used or is in doubt.

    Raises:
        BrainMRIError: when the root does not exist, or there is no such convention.
    """
    found, doubt = _scan(root, convention)
    return replace(found, problems=[*filter(None, [doubt]), *found.problems])


def _scan(root: str | Path, name: str | None, allow_missing: bool = False) -> tuple[CaseSet, Problem | None]:
    """Find the cases, and what is in doubt about their convention."""
    root = Path(root).expanduser().resolve()
    if not root.exists():
        raise BrainMRIError(f"the folder or file does not exist\n{root}\nCheck the path.")
    convention, doubt = find_convention(name) if name else None, None
    parent = root if root.is_dir() else root.parent
    found = find_files(root)
    if not found.cases:
        refuse_slice_files(root)
    facts = read_facts(found.tables)
    cases = [_case(name, files, facts, parent) for name, files in found.cases.items()]
    problems = found.problems
    if cases and not convention:
        detection = detect(cases, found.since_2023)
        convention = detection.convention
        if convention is None:
            severity = "error" if any(case.label for case in cases) else "warning"
            doubt = Problem(severity, ".", detection.doubt, detection.remedy)
    needed = convention.modalities if convention else MODALITIES
    usable = []
    for case in cases:
        missing = [modality for modality in needed if modality not in case.modalities]
        if missing:
            what = f"lacks {', '.join(missing)}; found {', '.join(case.modalities)}"
            folders = {file.parent for file in case.files}
            unknown = [volume.name for volume in found.unknown if volume.folder in folders]
            what += f"; of no known name: {', '.join(unknown[:3])}" if unknown else ""
            severity = "warning" if allow_missing else "error"
            problems.append(Problem(severity, case.id, what, "Copy the missing files there.", case.patient))
        if not missing or allow_missing:
            usable.append(case)
        if not case.label and any(other.label for other in cases):
            what = "has no label map, unlike other cases"
            problems.append(Problem("warning", case.id, what, "Add it, or keep such cases apart.", case.patient))
    return CaseSet(parent, convention, usable, problems), doubt


def _case(name: str, chosen: CaseFiles, facts: dict[str, Facts], parent: Path) -> Case:
    """Make a case of the files chosen for it."""
    patient, timepoint, site = parse_case(name)
    told = facts.get(key_of(name)) or facts.get(key_of(patient)) or Facts()
    label, stacked = chosen.get(LABEL), chosen.get(STACKED)
    some = stacked or next(volume for role, volume in chosen.items() if role != LABEL)
    parts = (parent.name, *some.folder.relative_to(parent).parts)
    return Case(
        id=name,
        patient=patient,
        timepoint=timepoint,
        images={modality: chosen[modality].file for modality in MODALITIES if modality in chosen},
        label=label.file if label else None,
        grade=told.grade or next((grade for grade in _GRADE_FOLDERS if grade in map(str.upper, parts)), None),
        site=told.site or site,
        stacked=stacked.file if stacked else None,
        channels=_channels(some.folder.parent) if stacked else (),
    )


def _channels(folder: Path) -> tuple[str, ...]:
    """Read the order of modalities from the description beside MSD's folders, where it is there and readable."""
    try:
        names = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["modality"]
        channels = tuple(ROLES[names[key].lower()] for key in sorted(names, key=int))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return CONVENTIONS["msd"].channels
    return channels if sorted(channels) == sorted(MODALITIES) else CONVENTIONS["msd"].channels
