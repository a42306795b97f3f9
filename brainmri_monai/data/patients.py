"""Which patients a folder or a table holds, with their labels and files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from brainmri_monai.data.dicom import BROKEN_LINK, is_dicom
from brainmri_monai.data.images import is_picture
from brainmri_monai.data.manifest import find_manifest, read_manifest
from brainmri_monai.data.nifti import is_nifti
from brainmri_monai.data.stack import ImageError
from brainmri_monai.errors import BrainMRIError

__all__ = [
    "GRADES",
    "Patient",
    "PatientSet",
    "Problem",
    "find_cases",
    "find_patients",
    "holds_patients",
    "list_folder",
    "natural",
    "relative",
    "scan_patients",
]

GRADES = (1, 2, 3, 4)
"""The grades of the World Health Organization."""

_LABEL = re.compile(r"(?P<type>.+?)[-_ ]+g(?P<grade>\d+)", re.IGNORECASE)
_IGNORED = ("thumbs.db", "desktop.ini", "__macosx")
_NAME_IT = "Name the folder <tumor>-g<1..4>, such as astrocytoma-g2; a CSV manifest may leave the grade empty."
_ONE_SOURCE = "Keep one source in a patient's folder: slices, or one NIfTI file, or one DICOM series."
_MOVE = "Move it into the folder of its patient."
_ONE_PLACE = "Keep all slices of a patient in one folder, and other pictures elsewhere."
_LAYOUT = "Lay the data out as <tumor>-g<1..4>/<patient>/<slices>, or write a CSV file patient,type,grade,path."


@dataclass(frozen=True)
class Patient:
    """One patient: the unit of every split.

    Args:
        id: the name of the folder, or what the table says.
        type: the tumour's type in lower case; None when it is not known.
        grade: the WHO grade, 1 to 4; None when it is not known.
        image: absolute paths: slice files in natural order, or one NIfTI file, DICOM file or DICOM folder.
    """

    id: str
    type: str | None
    grade: int | None
    image: tuple[Path, ...]


@dataclass(frozen=True)
class Problem:
    """Something in the data that a person should know of.

    Args:
        severity: "error" for what is left out or would make results wrong, "warning" for the rest.
        where: the file, folder or line of a table, as seen from the root.
        what: what was expected and what was found.
        remedy: what to do; problems of one kind share it word for word.
        patient: the patient whom it concerns, if it is one.
    """

    severity: Literal["error", "warning"]
    where: str
    what: str
    remedy: str
    patient: str | None = None

    @classmethod
    def of(cls, error: ImageError, root: Path, patient: str | None = None) -> Problem:
        """Turn an image's error into a problem of the data below ``root``."""
        return cls("error", relative(error.where, root), error.what, error.remedy, patient)


@dataclass(frozen=True)
class PatientSet:
    """The patients of a root, and what was wrong there.

    Args:
        root: the absolute path of the folder; of a table or a single file, the folder in which it lies.
        layout: "folders", "manifest" and the name of the table, or, for cases without labels, "patients" or "patient".
        patients: those that can be used, in natural order of type, grade and id.
        problems: what was left out, and why.
    """

    root: Path
    layout: str
    patients: list[Patient]
    problems: list[Problem]


def find_patients(root: str | Path) -> PatientSet:
    """Find labelled patients, in one of two layouts.

    "folders": ``<tumor>-g<1..4>/<patient>/`` with slices, one NIfTI file or one DICOM series. Upper and lower case
    do not matter, and ``_g2`` does as well as ``-g2``.

    "manifest": a CSV file with the columns ``patient,type,grade,path`` (comma or semicolon), or a folder that holds
    exactly one. A path is relative to the file and names a folder as above, a NIfTI file or a slice. An empty grade
    is an unknown grade.

    Raises:
        BrainMRIError: when no patient can be used.

    Example:
        >>> [(p.id, p.type, p.grade, len(p.image)) for p in find_patients("patients").patients]
        [('TCGA-CS-4944', 'astrocytoma', 2, 20)]
    """
    return _not_empty(scan_patients(root))


def scan_patients(root: str | Path) -> PatientSet:
    """Find labelled patients as :func:`find_patients` does, but give the problems also when no patient is left.

    Raises:
        BrainMRIError: when the root does not exist, or follows neither layout.
    """
    root = _absolute(root)
    entries = list_folder(root) if root.is_dir() else [root]
    if table := _table(root, entries):
        return _scan_manifest(table)
    if not _has_labels(entries):
        found = ", ".join(repr(entry.name) for entry in entries[:3]) or "nothing"
        raise BrainMRIError(f"expected folders named <tumor>-g<1..4>, found {found}\n{root}\n{_LAYOUT}")
    return _scan_folders(root)


def holds_patients(root: str | Path) -> bool:
    """Tell by the names whether a root follows one of the layouts of :func:`find_patients`.

    Raises:
        BrainMRIError: when the root does not exist, or holds several tables.
    """
    root = _absolute(root)
    entries = list_folder(root) if root.is_dir() else [root]
    return _table(root, entries) is not None or _has_labels(entries)


def find_cases(root: str | Path) -> PatientSet:
    """Find patients to predict, whose labels need not be known.

    Args:
        root: a labelled layout (see :func:`find_patients`), a folder of patients' folders or of NIfTI files, one
            patient's folder, or one file (a slice or a volume).

    Raises:
        BrainMRIError: when no patient can be used.
    """
    root = _absolute(root)
    entries = list_folder(root) if root.is_dir() else [root]
    if _table(root, entries) or any(_is_label(entry) for entry in entries):
        return find_patients(root)
    folders = [entry for entry in entries if entry.is_dir() or not entry.exists()]  # a broken link is told as a patient
    volumes = [entry for entry in entries if entry not in folders and is_nifti(entry)]
    others = [entry for entry in entries if entry not in folders and entry not in volumes]
    slices = any(is_picture(file) or is_dicom(file) for file in others)
    if slices and (unread := _image_folders(folders)):
        what = f"pictures lie beside folders of pictures ({_listed(unread)}): is this one patient, or many?"
        raise BrainMRIError(f"{what}\n{root}\n{_ONE_PLACE}")
    if root.is_file() or slices or (len(volumes) == 1 and not folders):
        layout, paths = "patient", [root]
    else:
        layout, paths = "patients", folders + volumes
    parent = root if root.is_dir() else root.parent
    return _not_empty(_collect(parent, layout, [_Candidate(_stem(path), None, None, path) for path in paths], []))


def list_folder(path: Path) -> list[Path]:
    """List a folder in natural order, without hidden files and what operating systems leave there.

    Raises:
        ImageError: when it cannot be read.
    """
    try:
        names = os.listdir(path)
    except OSError as error:
        raise ImageError(
            path, f"the folder cannot be read: {error.strerror}", "Ask for the right to read it."
        ) from error
    seen = (path / name for name in names if not name.startswith(".") and name.lower() not in _IGNORED)
    return sorted(seen, key=lambda entry: natural(entry.name))


def natural(name: str) -> tuple:
    """Give a key that sorts the numbers inside names by their value: ``slice 2`` before ``slice 10``."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple(int(part) if k % 2 else part for k, part in enumerate(parts)), name


def relative(path: str | Path, root: Path) -> str:
    """Give a path as seen from the root, with forward slashes; one outside of it stays as it is."""
    path = Path(path)
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def printable(name: str) -> str:
    """Give a name with escapes for what is no UTF-8; others stay as they are."""
    return name.encode("utf-8", "backslashreplace").decode()


class _Candidate(NamedTuple):
    """A patient before a look at the files."""

    id: str
    type: str | None
    grade: int | None
    path: Path


def _table(root: Path, entries: list[Path]) -> Path | None:
    return root if root.is_file() and root.suffix.lower() == ".csv" else find_manifest(entries)


def _has_labels(entries: list[Path]) -> bool:
    return any(_LABEL.fullmatch(entry.name) and entry.is_dir() for entry in entries)


def _scan_folders(root: Path) -> PatientSet:
    candidates: list[_Candidate] = []
    problems: list[Problem] = []

    def problem(path: Path, what: str, remedy: str) -> None:
        problems.append(Problem("error", relative(path, root), what, remedy))

    for folder in list_folder(root):
        label = _LABEL.fullmatch(folder.name)
        if not folder.exists():
            problem(folder, *BROKEN_LINK)
        elif folder.is_file():
            if is_picture(folder) or is_nifti(folder):
                problem(folder, "an image outside of the folders <tumor>-g<1..4>", _MOVE)
        elif label is None:
            problem(folder, f"the folder {folder.name!r} tells no grade: its name does not end with -g<1..4>", _NAME_IT)
        elif int(label["grade"]) not in GRADES:
            said = f"a grade is 1, 2, 3 or 4, the folder {folder.name!r} says {label['grade']}"
            problem(folder, f"{said}; patients left out: {len(list_folder(folder))}", _NAME_IT)
        else:
            entries = list_folder(folder)
            if not entries:
                problems.append(Problem("warning", folder.name, "the folder holds no patients", "Fill or remove it."))
            for entry in entries:
                if entry.is_dir() or is_nifti(entry):
                    candidates.append(_Candidate(_stem(entry), label["type"].lower(), int(label["grade"]), entry))
                elif not entry.exists():
                    problem(entry, *BROKEN_LINK)
                elif is_picture(entry):
                    problem(entry, "a slice outside of a patient's folder", _MOVE)
    return _collect(root, "folders", candidates, problems)


def _scan_manifest(table: Path) -> PatientSet:
    candidates: list[_Candidate] = []
    problems: list[Problem] = []
    for row in read_manifest(table):
        empty = next((column for column in ("patient", "type", "path") if not getattr(row, column)), None)
        grade = row.grade.removesuffix(".0")  # as pandas writes whole numbers beside empty cells
        if empty or grade not in ("", *map(str, GRADES)):
            what = f"the column {empty!r} is empty" if empty else f"a grade is 1, 2, 3, 4 or empty, found {row.grade!r}"
            where = f"{table.name}, line {row.line}"
            problems.append(Problem("error", where, what, "Correct the line of the table.", row.patient or None))
        else:
            path = table.parent / row.path
            candidates.append(_Candidate(row.patient, row.type.lower(), int(grade) if grade else None, path))
    return _collect(table.parent, f"manifest {table.name}", candidates, problems)


def _collect(root: Path, layout: str, candidates: list[_Candidate], problems: list[Problem]) -> PatientSet:
    """List the files of each candidate, leaving out those that cannot be used or whose label is in doubt."""
    by_id: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        by_id.setdefault(candidate.id, []).append(candidate)
    patients = []
    for name, found in by_id.items():
        if len(found) > 1:
            labels = sorted({f"{one.type}-g{one.grade or '?'}" for one in found})
            what = f"one patient under two labels: {name!r} is {' and '.join(labels)}"
            if len(labels) == 1:
                what = f"the patient {name!r} occurs {len(found)} times"
            where = " and ".join(relative(one.path, root) for one in found)
            problems.append(Problem("error", where, what, "Keep one of them, or give each patient an own name.", name))
            continue
        (patient,) = found
        try:
            patients.append(Patient(name, patient.type, patient.grade, _image(patient.path)))
        except ImageError as error:
            problems.append(Problem.of(error, root, name))
            continue
        if unread := _unread(patient.path, patients[-1].image):
            what = f"folders beside the images are not read: {_listed(unread)}"
            problems.append(Problem("warning", relative(patient.path, root), what, _ONE_PLACE, name))
    patients.sort(key=lambda patient: (patient.type or "", patient.grade or 0, natural(patient.id)))
    return PatientSet(root, layout, patients, problems)


def _image(path: Path) -> tuple[Path, ...]:
    """List the image of one patient: slices in natural order, or one volume, or the folder of a DICOM series."""
    if not path.exists():
        raise ImageError(path, "the path does not exist", "Check the path, or copy the data there.")
    if path.is_file():
        return (path,)
    files = [entry for entry in list_folder(path) if not entry.is_dir() or is_picture(entry)]  # broken links too
    slices = [file for file in files if is_picture(file)]
    volumes = [file for file in files if is_nifti(file)]
    dicom = [file for file in files if file not in slices and file not in volumes and is_dicom(file)]
    sources = {"slices": slices, "NIfTI files": volumes, "DICOM files": dicom}
    kinds = [f"{len(there)} {kind}" for kind, there in sources.items() if there]
    if not kinds and len(folders := _folders(path)) == 1:
        return _image(folders[0])  # as exported: patient/study/series
    if not kinds:
        found = ", ".join(repr(entry.name) for entry in list_folder(path)[:3])
        if not found:
            raise ImageError(path, "the folder of a patient is empty", "Fill or remove it.")
        raise ImageError(path, f"a patient without slices: found {found}", _ONE_SOURCE)
    if len(kinds) > 1 or len(volumes) > 1:
        raise ImageError(path, f"a patient has one kind of image, found {' and '.join(kinds)}", _ONE_SOURCE)
    return (path,) if dicom else (*slices, *volumes)


def _absolute(root: str | Path) -> Path:
    root = Path(root).expanduser().resolve()
    if not root.exists():
        raise BrainMRIError(f"the folder or file does not exist\n{root}\nCheck the path.")
    return root


def _not_empty(found: PatientSet) -> PatientSet:
    if not found.patients:
        what, remedy = "found no patient", _LAYOUT
        if found.problems:
            first = found.problems[0]
            what = (
                f"none of the patients can be used ({len(found.problems)} problems), first {first.where}: {first.what}"
            )
            remedy = first.remedy
        raise BrainMRIError(f"{what}\n{found.root}\n{remedy}")
    return found


def _is_label(path: Path) -> bool:
    """Tell whether this is a folder <tumor>-g<n> of patients, and not a patient of that name."""
    return path.is_dir() and bool(_LABEL.fullmatch(path.name)) and not any(map(is_picture, list_folder(path)))


def _folders(path: Path) -> list[Path]:
    return [entry for entry in list_folder(path) if entry.is_dir()]


def _unread(path: Path, image: tuple[Path, ...]) -> list[Path]:
    """Find the folders of images beside the image of a patient, where that lies in the patient's folder itself."""
    return _image_folders(_folders(path)) if path.is_dir() and path in (image[0], image[0].parent) else []


def _image_folders(folders: list[Path]) -> list[Path]:
    """Find those that hold an image themselves."""
    return [path for path in folders if path.is_dir() and any(map(_is_image, list_folder(path)))]


def _is_image(file: Path) -> bool:
    return is_picture(file) or is_nifti(file) or is_dicom(file)


def _listed(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")


def _stem(path: Path) -> str:
    """Name a patient after the folder or file, without the suffix of an image."""
    if path.is_dir():
        return path.name
    return path.name[:-7] if path.name.lower().endswith(".nii.gz") else path.stem
