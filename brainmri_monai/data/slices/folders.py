"""Which single slices a folder holds: one folder a class, with or without an official training and test part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from brainmri_monai.data.dicom import is_dicom
from brainmri_monai.data.images import SLICE_SUFFIXES, is_picture
from brainmri_monai.data.nifti import is_nifti
from brainmri_monai.data.patients import Problem, holds_patients, list_folder, printable, relative
from brainmri_monai.data.slices.classes import KNOWN, canonical_class
from brainmri_monai.errors import BrainMRIError

__all__ = ["NOT_UTF8", "OTHER_PICTURES", "SAVE_AS", "Slice", "SliceSet", "find_slices", "holds_slices", "scan_slices"]

Part = Literal["training", "testing"]

_PARTS: dict[str, Part] = {
    "training": "training",
    "train": "training",
    "validation": "training",
    "valid": "training",
    "val": "training",
    "testing": "testing",
    "test": "testing",
}
OTHER_PICTURES = (".gif", ".webp", ".heic", ".jp2", ".jpe", ".jfif", ".avif", ".svg", ".pdf")
_MOST_CLASSES = 20  # more folders of unknown names than this are patients, not classes
_LAYOUT = "Lay the slices out as <class>/<picture>, or as Training/<class>/<picture> and Testing/<class>/<picture>."
NOT_UTF8 = "the name is not in UTF-8, as names from old archives are", "Rename it."
SAVE_AS = f"Save it as one of {', '.join(SLICE_SUFFIXES)}."


@dataclass(frozen=True)
class Slice:
    """One picture with its class.

    Args:
        id: the path as seen from the root, with forward slashes.
        path: absolute.
        label: the class: our name of it where the folder's is among the usual ones, else the folder's.
        part: of the set's own split; None where it has none.
    """

    id: str
    path: Path
    label: str
    part: Part | None = None


@dataclass(frozen=True)
class SliceSet:
    """The slices of a root, and what was wrong there.

    Args:
        root: absolute.
        classes: sorted; the index of a class is its place here. A class whose folder is empty is among them.
        items: in natural order of part, class and name.
        official: whether the set has a training and a test part of its own.
        problems: what was left out, and why.
    """

    root: Path
    classes: tuple[str, ...]
    items: list[Slice]
    official: bool
    problems: list[Problem]


def find_slices(root: str | Path) -> SliceSet:
    """Find the slices of class folders, such as ``glioma/``, which may lie below ``Training/`` and ``Testing/``.

    Folders of several spellings of one class are taken together; other names are classes of the user's own, which a
    warning among the problems tells. Files are not opened here.

    Raises:
        BrainMRIError: when no slice can be used.

    Example:
        >>> found = find_slices("brain_tumor_dataset")
        >>> found.classes, found.official, found.items[0].id
        (('glioma', 'meningioma', 'notumor', 'pituitary'), True, 'Training/glioma/Tr-gl_0010.jpg')
    """
    found = scan_slices(root)
    if not found.items:
        first = found.problems[0]
        raise BrainMRIError(f"found no slice: {first.where}: {first.what}\n{found.root}\n{first.remedy}")
    return found


def scan_slices(root: str | Path) -> SliceSet:
    """Find slices as :func:`find_slices` does, but give the problems also when no slice is left.

    Raises:
        BrainMRIError: when the root does not exist, or holds no folders of classes.
    """
    root = Path(root).expanduser().resolve()
    if not root.is_dir():
        raise BrainMRIError(
            f"expected a folder of slices, found {'a file' if root.exists() else 'nothing'}\n{root}\n{_LAYOUT}"
        )
    problems: list[Problem] = []
    items: list[Slice] = []
    folders: list[tuple[Path, Part | None]] = list(_class_folders(root, problems))
    if not folders:
        found = ", ".join(repr(entry.name) for entry in list_folder(root)[:3]) or "an empty folder"
        raise BrainMRIError(f"expected a folder for each class, found {found}\n{root}\n{_LAYOUT}")
    for folder, part in folders:
        label = canonical_class(folder.name) or folder.name
        pictures = list(_pictures(folder, root, problems))
        items += [Slice(relative(file, root), file, label, part) for file in pictures]
        if not pictures:
            remedy = "Fill it, or remove it."
            problems.append(Problem("error", relative(folder, root), "the folder of a class holds no picture", remedy))
    classes = tuple(sorted({canonical_class(folder.name) or folder.name for folder, _ in folders}))
    problems += [
        Problem("warning", name, f"{name!r} is none of {', '.join(KNOWN)}: taken as a class of your own", _OWN_CLASS)
        for name in classes
        if name not in KNOWN
    ]
    parts = {item.part for item in items}
    return SliceSet(root, classes, items, {"training", "testing"} <= parts, problems)


_OWN_CLASS = (
    "Nothing to do when it is one; else correct the folder's name, or lay patients out as <tumor>-g<1..4>/<patient>."
)


def holds_slices(root: str | Path) -> bool:
    """Tell by the names of folders and files whether a folder holds slices by class, and not patients.

    It does when a folder of a usual class holds a picture, or is below a training or test part; or when all folders,
    at most 20, hold pictures. A folder ``<tumor>-g<1..4>`` or a table of patients says otherwise.
    """
    root = Path(root)
    if not root.is_dir() or holds_patients(root):
        return False
    folders = [folder for folder, _ in _class_folders(root, [])]
    with_pictures = [folder for folder in folders if any(map(is_picture, list_folder(folder)))]
    if not with_pictures:
        return False
    usual = any(canonical_class(folder.name) for folder in with_pictures)
    return usual or folders[0].parent != root or 2 <= len(folders) == len(with_pictures) <= _MOST_CLASSES


def _class_folders(root: Path, problems: list[Problem]) -> Iterator[tuple[Path, Part | None]]:
    """Give the folders of classes, and the part in which each is; what lies beside them is a problem."""
    entries = list_folder(root)
    parts = [entry for entry in entries if entry.is_dir() and entry.name.casefold() in _PARTS]
    places: Sequence[tuple[Path, Part | None]] = [(folder, _PARTS[folder.name.casefold()]) for folder in parts]
    for entry in entries:
        if entry.is_file() and is_picture(entry):
            where = printable(entry.name)
            problems.append(Problem("error", where, "a picture outside of the folders of classes", _MOVE))
        elif parts and entry.is_dir() and entry not in parts:
            what = f"a folder beside {' and '.join(folder.name for folder in parts)} is left out"
            problems.append(Problem("warning", printable(entry.name), what, "Remove it, or move it into one of them."))
    for place, part in places or [(root, None)]:
        for entry in list_folder(place):
            where = printable(relative(entry, root))
            if entry.is_dir() and where != relative(entry, root):
                problems.append(Problem("error", where, *NOT_UTF8))
            elif entry.is_dir():
                yield entry, part
            elif place != root and is_picture(entry):
                problems.append(Problem("error", where, "a picture outside of the folders of classes", _MOVE))


_MOVE = "Move it into the folder of its class."


def _pictures(folder: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Give the pictures of a class; what cannot be one is a problem."""
    for entry in list_folder(folder):
        where = printable(relative(entry, root))
        if where != relative(entry, root):
            problems.append(Problem("error", where, *NOT_UTF8))
        elif entry.is_dir():
            named = " named as a picture" if is_picture(entry) else ""
            remedy = "Move the pictures in it into the folder of their class, and remove it."
            problems.append(Problem("error", where, f"a folder{named} in the folder of a class is left out", remedy))
        elif is_picture(entry):
            yield entry
        else:
            holds_slice = entry.suffix.lower() in OTHER_PICTURES or is_nifti(entry) or is_dicom(entry)
            severity = "error" if holds_slice else "warning"
            what = f"{entry.suffix!r} is not a kind of picture that is read: left out"
            problems.append(Problem(severity, where, what, SAVE_AS if severity == "error" else "Nothing to do."))
