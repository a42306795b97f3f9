"""``brainmri check``: everything that is wrong with a data set, found in one pass."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brainmri_monai.data.brats.datalist import CaseList
from brainmri_monai.data.brats.files import holds_volumes
from brainmri_monai.data.brats.slice_files import holds_slice_files
from brainmri_monai.data.brats.survey import VolumeReport, survey_volumes
from brainmri_monai.data.datalist import Datalist
from brainmri_monai.data.duplicates import find_duplicates
from brainmri_monai.data.patients import Problem, scan_patients
from brainmri_monai.data.persons import contradict
from brainmri_monai.data.reporting import (
    Report,
    aligned,
    listed,
    measure_lines,
    problem_lines,
    sorted_by_severity,
    tally,
    with_bar,
)
from brainmri_monai.data.slices.datalist import SliceList
from brainmri_monai.data.slices.folders import holds_slices
from brainmri_monai.data.slices.survey import SliceReport, survey_slices
from brainmri_monai.data.survey import Reading, survey

__all__ = ["PatientReport", "check_patients"]


@dataclass(frozen=True)
class PatientReport(Report):
    """What a data set of slices is, and what is wrong with it.

    Args:
        layout: how the patients lie there, see :class:`~brainmri_monai.data.patients.PatientSet`.
        readings: of the patients with at least one readable file.
    """

    layout: str
    readings: list[Reading]

    @property
    def facts(self) -> dict[str, Any]:
        """Counts and measures of the readable patients, made of plain types."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for reading in self.readings:
            counts[reading.patient.type][str(reading.patient.grade or "unknown")] += 1
        slices = [len(reading.names) for reading in self.readings]
        return {
            "root": str(self.root),
            "layout": self.layout,
            "patients": len(self.readings),
            "slices": sum(slices),
            "counts": {kind: dict(sorted(counts[kind].items())) for kind in sorted(counts)},
            "slices_per_patient": {
                "min": min(slices, default=0),
                "median": statistics.median(slices or [0]),
                "max": max(slices, default=0),
            },
            "sizes": tally(f"{rows} x {columns}" for reading in self.readings for rows, columns in reading.sizes),
            "modes": tally(mode for reading in self.readings for mode in reading.modes),
            "spacings": tally(" x ".join(f"{s:.3g}" for s in r.spacing) for r in self.readings if r.spacing),
            "axes": tally(reading.axes for reading in self.readings if reading.axes),
        }

    def table(self) -> str:
        """For people: an aligned table, and the problems by kind, each with its number and first examples."""
        facts = self.facts
        per = facts["slices_per_patient"]
        measures = {
            "slices a patient": f"{per['min']} to {per['max']}, median {per['median']:g}",
            "rows x columns": listed(facts["sizes"], "slices"),
            "pixels": listed(facts["modes"], "files"),
            "spacing in mm": listed(facts["spacings"], "volumes"),
            "stored axes": listed(facts["axes"], "volumes"),
        }
        lines = [
            f"{facts['root']} (layout: {self.layout})",
            f"{facts['patients']} patients, {facts['slices']} slices",
            "",
            *_counts_table(self.readings),
            "",
            *measure_lines(measures),
            *problem_lines(self.problems),
        ]
        return "\n".join(lines)


def check_patients(
    root: str | Path, datalist: str | Path | None = None, convention: str | None = None
) -> PatientReport | VolumeReport | SliceReport:
    """Look at every file of labelled patients, on all cores, and collect what is wrong; a bar shows how far it is.

    A folder of BraTS cases is recognised, see :func:`~brainmri_monai.data.brats.survey.survey_volumes`, and a folder
    of single slices by class, see :func:`~brainmri_monai.data.slices.survey.survey_slices`. Else:

    Errors are what cannot be used or would make results wrong: unreadable files, labels in doubt, a type with fewer
    than two patients, one image under different labels, and, where there is a split, a patient or an image in two of
    its parts. Warnings are what a person should look at: empty slices, no orientation, an image that several
    patients share.

    Args:
        root: see :func:`~brainmri_monai.data.patients.find_patients`.
        datalist: a split to check; ``datalist.json`` in the root when left out, if there is one.
        convention: what the labels of volumes mean; found out when left out.

    Raises:
        BrainMRIError: when the root follows no known layout, or the datalist cannot be read.
    """
    root = Path(root).expanduser().resolve()
    volumes = convention is not None or holds_volumes(root) or holds_slice_files(root)
    slices = not volumes and holds_slices(root)
    found = None if volumes or slices else scan_patients(root)
    if datalist is None and (root / "datalist.json").exists():
        datalist = root / "datalist.json"
    kind = CaseList if volumes else SliceList if slices else Datalist
    parts = kind.load(datalist).parts if datalist else {}
    if volumes:
        report = survey_volumes(root, convention)
        problems = [*report.problems, *_split_problems(parts, root)]
        return replace(report, problems=sorted_by_severity(problems))
    if slices:
        report = survey_slices(root)
        problems = [*report.problems, *_split_problems(parts, root), *report.divided(parts)]
        return replace(report, problems=sorted_by_severity(problems))
    readings = list(with_bar(survey(found.patients, found.root), len(found.patients), "patients"))
    problems = [
        *found.problems,
        *(problem for reading in readings for problem in reading.problems),
        *_too_few(readings),
        *_split_problems(parts, found.root),
        *_shared_images(readings, parts),
    ]
    readable = [reading for reading in readings if reading.names]
    return PatientReport(found.root, sorted_by_severity(problems), found.layout, readable)


def _too_few(readings: Sequence[Reading]) -> Iterator[Problem]:
    """Find out whether training would refuse the set: it needs two types, and two patients of each."""
    remedy = "Add patients, or leave the type out."
    types = sorted({reading.patient.type for reading in readings})
    counts = Counter(reading.patient.type for reading in readings if reading.names)
    if len(types) == 1:
        yield Problem("error", types[0], f"a classification needs two types, found {types[0]!r} alone", remedy)
    for kind in types:
        if counts[kind] < 2:
            what = f"a type needs two patients, one to learn from and one to test on; {kind!r} has {counts[kind]}"
            yield Problem("error", kind, what, remedy)


def _split_problems(parts: dict[str, list[dict[str, Any]]], root: Path) -> Iterator[Problem]:
    """Find patients and files in two parts of a split, and files that are missing."""
    places: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part, entries in parts.items():
        for entry in entries:
            if "patient" in entry:  # that of a single slice is not known
                places["patient", entry["patient"]].add(part)
            for file in entry["image"]:
                places["file", file].add(part)
                if not (root / file).exists():
                    yield Problem(
                        "error",
                        file,
                        "the split names a file that is missing",
                        "Bring it back, or split anew.",
                        entry["id"],
                    )
    for (what, name), found in places.items():
        if len(found) > 1:
            text = f"the {what} is in {' and in '.join(sorted(found))}"
            yield Problem("error", name, text, "Split anew: the test must not know the training.")


def _shared_images(readings: Sequence[Reading], parts: dict[str, list[dict[str, Any]]]) -> Iterator[Problem]:
    """Find images of several patients: warnings, or errors where labels contradict or parts of a split share one."""
    part_of = {entry["id"]: part for part, entries in parts.items() for entry in entries}
    names = [name for reading in readings for name in reading.names]
    owners = [reading.patient for reading in readings for _ in reading.names]
    fingerprints = [mark for reading in readings for mark in reading.fingerprints]

    def are_contradicted(members: Sequence[int]) -> bool:
        same: dict[bytes, list[int]] = defaultdict(list)
        for k in members:
            same[fingerprints[k].digest].append(k)
        return any(contradict(owners[k] for k in copies) for copies in same.values())

    shared = defaultdict(list)
    for group in find_duplicates(fingerprints, [owner.id for owner in owners]):
        patients = tuple(dict.fromkeys(owners[k] for k in group.members))
        shared[patients, group.exact, are_contradicted(group.members)].append(group.members)
    for (patients, exact, contradicted), groups in shared.items():
        first = {owners[k]: names[k] for k in reversed(groups[0])}  # the first slice of each patient
        count = "an image" if len(groups) == 1 else f"{len(groups)} images"
        what = f"{len(patients)} patients share {count}, {'pixel for pixel' if exact else 'nearly'}"
        found = {part_of[patient.id] for patient in patients if patient.id in part_of}
        where = " = ".join(first[patient] for patient in patients[:3]) + (" = ..." if len(patients) > 3 else "")
        if contradict(patients):
            labels = dict.fromkeys(f"{patient.type} grade {patient.grade or 'unknown'}" for patient in patients)
            what += f", under different labels: {' and '.join(labels)}"
        if contradicted:
            yield Problem("error", where, what, "Keep the patient whose label is right, or remove the copies.")
        elif len(found) > 1:
            what += f", and are in {' and in '.join(sorted(found))}"
            yield Problem("error", where, what, "Give these patients one id, or remove the copies; then split anew.")
        else:
            remedy = "Look at them: give one person's scans one id, and remove copies."
            yield Problem("warning", where, what, remedy)


def _counts_table(readings: Sequence[Reading]) -> list[str]:
    """Give the lines of a table of patients, type by grade."""
    grades = sorted({reading.patient.grade for reading in readings}, key=lambda grade: grade or 9)
    rows = [["type", *(f"grade {grade or 'unknown'}" for grade in grades), "patients", "slices"]]
    for kind in [*sorted({reading.patient.type for reading in readings}), None]:
        own = [reading for reading in readings if kind in (None, reading.patient.type)]
        by_grade = Counter(reading.patient.grade for reading in own)
        numbers = [*(by_grade[grade] for grade in grades), len(own), sum(len(reading.names) for reading in own)]
        rows.append([kind or "all", *(str(number) if number else "-" for number in numbers)])
    return aligned(rows)
