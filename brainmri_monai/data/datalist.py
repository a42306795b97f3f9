"""``datalist.json``: which patient is in which part of a run, in MONAI's datalist form."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from brainmri_monai.data.leaks import refuse_leak
from brainmri_monai.data.patients import Patient, PatientSet, Problem, list_folder
from brainmri_monai.data.splits import PARTS, Split
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json

__all__ = ["Datalist", "digest_of", "entry", "file_digest", "relative"]


@dataclass
class Datalist:
    """The patients of a run and the part that each belongs to.

    Args:
        root: folder that the image paths are relative to.
        layout: how the patients lie there (see ``data.patients``).
        types: names of the tumour types; a type's index is its place in this list.
        split: how the parts came about: method, fold, folds, seed, notes.
        parts: part → entries, each with ``id, patient, image, type, grade, digests``.
        excluded: what was left out, each with ``id, where, what, remedy``.
    """

    option: ClassVar[str] = "types"  # of a configuration, to which the names are given

    root: Path
    layout: str
    types: list[str]
    split: dict[str, Any]
    parts: dict[str, list[dict[str, Any]]]
    excluded: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def build(
        cls,
        root: Path,
        layout: str,
        types: Iterable[str],
        entries: Iterable[dict[str, Any]],
        split: Split,
        how: Mapping[str, Any],
        problems: Sequence[Problem] = (),
    ) -> Datalist:
        """Put entries (see :func:`entry`) into the parts of a split.

        Raises:
            BrainMRIError: for a name of a type that MONAI's configurations would take for an expression.
        """
        types = list(types)
        expression = next((name for name in types if name.startswith(("$", "@", "%"))), None)
        if expression:
            raise BrainMRIError(
                f"the name '{expression}' begins with a sign by which MONAI's configurations know expressions.\n"
                "Rename the folder, or correct the table."
            )
        by_id = {e["id"]: e for e in entries}
        return cls(
            root=Path(root),
            layout=layout,
            types=types,
            split={**how, "notes": split.notes},
            parts={part: [by_id[patient] for patient in split.parts[part]] for part in PARTS},
            excluded=_excluded(problems),
        )

    @classmethod
    def load(cls, path: str | Path) -> Datalist:
        """
        Raises:
            BrainMRIError: when the file is missing or is no datalist of ours.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(
                root=Path(content["root"]),
                layout=content["layout"],
                types=content[cls.option],
                split=content["split"],
                parts={part: content[part] for part in PARTS},
                excluded=content["excluded"],
            )
        except FileNotFoundError as error:
            raise BrainMRIError(
                f"no {Path(path).name} in {Path(path).parent}: this is not the folder of a run.\n"
                "Give the folder that a training wrote, with --output_dir."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise BrainMRIError(
                f"{path} is not a datalist of this package: {error!r}.\nRestore the file, or train again with --fresh."
            ) from error

    def save(self, path: str | Path) -> None:
        """Write as JSON, atomically."""
        write_json(
            path,
            {
                "name": self.name,
                "root": str(self.root),
                "layout": self.layout,
                "digest": self.digest,
                self.option: self.types,
                "split": self.split,
                **self.parts,
                "excluded": self.excluded,
            },
        )

    def external(
        self,
        root: Path,
        layout: str,
        entries: Iterable[dict[str, Any]],
        problems: Iterable[Problem],
        known: Path,
        others: Iterable[Datalist] = (),
    ) -> Self:
        """Give another data set as the test of this run, with no training and validation.

        Args:
            root: of the other data.
            layout: as they were found.
            entries: of all that is to be tested.
            problems: of those that are left out.
            known: a file that is written where several of them were trained on, and names these.
            others: of runs whose weights take part in the test.

        Raises:
            BrainMRIError: when it holds a patient or an image that one of the runs was trained on.
        """
        entries = list(entries)
        used = [e for one in (self, *others) for part in ("training", "validation") for e in one.parts[part]]
        refuse_leak(entries, used, root, known)
        return replace(
            self,
            root=root,
            layout=layout,
            split={"method": "external", "notes": [f"external test set {root}"]},
            parts={"training": [], "validation": [], "test": entries},
            excluded=_excluded(problems),
        )

    @property
    def name(self) -> str:
        """Of the folder, or of the table that lists the patients."""
        kind, _, table = self.layout.partition(" ")
        return table if kind == "manifest" else self.root.name

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries of all parts."""
        return [e for part in PARTS for e in self.parts[part]]

    @property
    def digest(self) -> str:
        """Of the data: it changes with any image, label or patient, and not with the folder that they lie in."""
        return digest_of(self.entries)

    @property
    def told(self) -> dict[str, Any]:
        """What an inference by a network of this run has to know of the data: option → value."""
        unlearnt = {"unlearnt": self.split["unlearnt"]} if "unlearnt" in self.split else {}
        return {self.option: self.types} | unlearnt

    def describe(self, card: dict[str, Any], options: Mapping[str, Any]) -> None:
        """Put what the network of this run takes and gives into a bundle's metadata."""
        size = options.get("image_size")
        if size:
            card["network_data_format"]["inputs"]["image"]["spatial_shape"][:2] = [size, size]
        outputs = card["network_data_format"]["outputs"]["pred"]
        outputs["num_channels"] = len(self.types)
        outputs["channel_def"] = {str(index): name for index, name in enumerate(self.types)}
        names = ", ".join(f"{index}: {name}" for index, name in enumerate(self.types))  # the schema wants text
        card |= {"label_classes": names, "pred_classes": names}

    def patients(self) -> PatientSet:
        """The patients again, with the files that the entries name."""
        patients = [
            Patient(e["id"], e["type"], e["grade"], tuple(self.root / file for file in e["image"]))
            for e in self.entries
        ]
        return PatientSet(self.root, self.layout, patients, [])

    def samples(self, part: str) -> list[dict[str, Any]]:
        """What a MONAI data set takes: ``id``, ``image`` (absolute paths) and ``label``, [type, grade - 1 or -1]."""
        return [
            {"id": e["id"], "image": [str(self.root / file) for file in e["image"]], "label": self.label(e)}
            for e in self.parts[part]
        ]

    def label(self, entry: Mapping[str, Any]) -> list[int]:
        """[index of the type, grade - 1], with -1 for a type that training did not know or an unknown grade."""
        known = entry["type"] in self.types
        return [self.types.index(entry["type"]) if known else -1, entry["grade"] - 1 if entry["grade"] else -1]

    def class_weights(self, what: int, classes: int) -> list[float]:
        """Weights against imbalance: n / (classes present · n of the class) on the training patients; 0 if absent.

        Args:
            what: 0 for the type, 1 for the grade.
            classes: number of classes, those that do not occur included.
        """
        labels = [self.label(e)[what] for e in self.parts["training"]]
        counts = Counter(label for label in labels if label >= 0)
        known = sum(counts.values())
        return [known / (len(counts) * counts[c]) if counts[c] else 0.0 for c in range(classes)]


def entry(patient: Patient, root: Path) -> dict[str, Any]:
    """A patient as ``datalist.json`` holds it; ``digests`` are of the files' bytes."""
    return {
        "id": patient.id,
        "patient": patient.id,
        "image": [relative(file, root) for file in patient.image],
        "type": patient.type,
        "grade": patient.grade,
        "digests": [file_digest(file) for file in patient.image],
    }


def _excluded(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """What was left out, as ``datalist.json`` holds it."""
    return [{"id": p.patient, "where": p.where, "what": p.what, "remedy": p.remedy} for p in problems]


def digest_of(entries: Iterable[Mapping[str, Any]]) -> str:
    """Of a set of entries, whatever their order."""
    lines = sorted(json.dumps([e["id"], e.get("type"), e.get("grade"), e["digests"]]) for e in entries)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def relative(file: Path, root: Path) -> str:
    """A file's path as ``datalist.json`` holds it: below the root, or absolute where it lies elsewhere."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def file_digest(file: Path) -> str:
    """Of a file's bytes, or of those of all files in a folder (see ``data.patients.list_folder``)."""
    digest = hashlib.sha256()
    parts = [part for part in sorted(list_folder(file)) if part.is_file()] if file.is_dir() else [file]
    for part in parts:
        with part.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
