"""The files of a BraTS data set, sorted into cases by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from brainmri_monai.data.brats.names import LABEL, conventions_of, parse_case, parse_file, stem
from brainmri_monai.data.nifti import is_nifti
from brainmri_monai.data.patients import Problem, list_folder, natural, relative

__all__ = ["STACKED", "CaseFiles", "Found", "Volume", "find_files", "holds_volumes"]

STACKED = "stacked"
"""The role of a 4D file that holds all modalities."""

_IMAGES, _LABELS = ("imagestr", "imagests"), ("labelstr", "labelsts")  # folders of the Medical Segmentation Decathlon

CaseFiles = dict[str, "Volume"]
"""Role in a case → file: a modality, ``LABEL`` or ``STACKED``."""


class Volume(NamedTuple):
    """A file of a data set.

    Args:
        name: of the file, or of the folder that is named as a volume and holds the file.
        folder: in which this name stands.
        file: what to read.
    """

    name: str
    folder: Path
    file: Path


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Args:
        cases: id → files, in natural order.
        tables: CSV files.
        problems: what was left out or taken by a guess.
        since_2023: whether files are named by the words that came in 2023.
        unknown: volumes whose names tell no role in a case.
    """

    cases: dict[str, CaseFiles]
    tables: list[Path]
    problems: list[Problem]
    since_2023: bool
    unknown: list[Volume]


_Sorted = dict[str, dict[str, list[Volume]]]  # case → role → files, of which there should be one


def find_files(root: Path) -> Found:
    """Sort all files of a folder into cases; the files of one case need not lie in one folder.

    Args:
        root: a folder, or a single file. Problems are seen from the folder.
    """
    parent = root if root.is_dir() else root.parent
    walk = _Walk(root)
    files: _Sorted = defaultdict(lambda: defaultdict(list))
    unmatched: list[Volume] = []
    for volume in walk:
        if place := _place(volume):
            case, role = place
            files[case][role].append(volume)
        else:
            unmatched.append(volume)
    problems = [*walk.problems, *_adopt_labels(files, unmatched, parent)]
    names = [parse_file(v.name) for roles in files.values() for volumes in roles.values() for v in volumes]
    cases = {}
    for case in sorted(files, key=natural):
        chosen = {role: _first_choice(volumes) for role, volumes in files[case].items()}
        if STACKED in chosen and set(chosen) - {STACKED, LABEL}:
            chosen[STACKED] = [volume for role, volumes in chosen.items() if role != LABEL for volume in volumes]
        doubled = next((volumes for volumes in chosen.values() if len(volumes) > 1), None)
        patient = parse_case(case).patient
        if doubled:
            what = f"two files for one thing: {' and '.join(relative(v.file, parent) for v in doubled[:2])}"
            problems.append(Problem("error", case, what, "Keep one of them.", patient))
        elif set(chosen) == {LABEL}:
            where = relative(chosen[LABEL][0].file, parent)
            what = "a label map without images"
            problems.append(Problem("error", where, what, "Copy the images of this case, or remove it.", patient))
        else:
            cases[case] = {role: volume for role, (volume,) in chosen.items()}
    return Found(cases, walk.tables, problems, any(name and name.since_2023 for name in names), unmatched)


def holds_volumes(root: str | Path) -> bool:
    """Tell by the names of the files whether a folder holds cases: two files of one, or one 4D file of MSD."""
    roles: dict[str, set[str]] = defaultdict(set)
    for volume in _Walk(Path(root)):
        if place := _place(volume):
            case, role = place
            roles[case].add(role)
            if role == STACKED or len(roles[case]) > 1:
                return True
    return False


class _Walk:
    """All volumes below a folder, and, after they were listed, the tables and odd folders that were met."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tables: list[Path] = []
        self.problems: list[Problem] = []

    def __iter__(self) -> Iterator[Volume]:
        if self.root.is_dir():
            yield from self._walk(self.root)
        elif is_nifti(self.root):
            yield Volume(self.root.name, self.root.parent, self.root)

    def _walk(self, folder: Path) -> Iterator[Volume]:
        entries = list_folder(folder)
        if not entries and folder != self.root:
            where = relative(folder, self.root)
            self.problems.append(Problem("warning", where, "the folder is empty", "Copy the files of a case there."))
        for entry in entries:
            if entry.is_dir() and is_nifti(entry):  # some copies hold folders called <case>_flair.nii
                files = [file for file in list_folder(entry) if is_nifti(file)]
                if len(files) == 1:
                    yield Volume(entry.name, folder, files[0])
                else:
                    what = f"a folder named as a volume holds one, this one holds {len(files)}"
                    where = relative(entry, self.root)
                    # a warning: where a case lacks a modality because of it, that is the error
                    self.problems.append(Problem("warning", where, what, "Leave the one volume of that name in it."))
            elif entry.is_dir():
                yield from self._walk(entry)
            elif is_nifti(entry):
                yield Volume(entry.name, folder, entry)
            elif entry.suffix.lower() == ".csv":
                self.tables.append(entry)


def _place(volume: Volume) -> tuple[str, str] | None:
    """Tell the case of a file, and its role there: a modality, the label map, or all modalities."""
    if name := parse_file(volume.name):
        return name.case or volume.folder.name, name.role
    case, folder = stem(volume.name), volume.folder.name.lower()
    if folder in _LABELS:
        return case, LABEL
    if folder in _IMAGES or any(convention.channels for convention in conventions_of(case)):
        return case, STACKED
    return None


def _first_choice(volumes: list[Volume]) -> list[Volume]:
    """Leave out what another file goes before."""
    return [v for v in volumes if not ((name := parse_file(v.name)) and name.second)] or volumes


def _adopt_labels(files: _Sorted, unmatched: list[Volume], parent: Path) -> Iterator[Problem]:
    """Take the one file of another name for the label map of a case that lacks it (BraTS20_Training_355 has one)."""
    owners: dict[Path, set[str]] = defaultdict(set)
    strays: list[tuple[Volume, str | None]] = [(volume, None) for volume in unmatched]
    for case, roles in files.items():
        if set(roles) == {LABEL}:
            strays += [(volume, case) for volume in roles[LABEL]]
        else:
            for volumes in roles.values():
                for volume in volumes:
                    owners[volume.folder].add(case)
    others_have = any(len(roles) > 1 and LABEL in roles for roles in files.values())
    by_folder: dict[Path, list[tuple[Volume, str | None]]] = defaultdict(list)
    for volume, case in strays:
        if "brain" not in volume.name.lower():  # a mask of the brain
            by_folder[volume.folder].append((volume, case))
    for folder, ((volume, named), *more) in by_folder.items():
        if more or len(owners[folder]) != 1 or not (others_have or "seg" in volume.name.lower()):
            continue
        (case,) = owners[folder]
        if LABEL not in files[case]:
            files[case][LABEL] = [volume]
            files.pop(named, None)
            what = f"took {volume.name!r} for the label map of {case}: the only file left there"
            yield Problem("warning", relative(volume.file, parent), what, "Look at it, and name it as the others.")
