"""One pass over all volumes of a BraTS data set: what they are, and what is wrong with them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainmri_monai.data.brats.cases import scan_volumes
from brainmri_monai.data.brats.conventions import Convention
from brainmri_monai.data.brats.reading import VolumeReading, read_volumes
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.patients import Problem
from brainmri_monai.data.reporting import (
    Report,
    listed,
    measure_lines,
    problem_lines,
    sorted_by_severity,
    tally,
    with_bar,
)

__all__ = ["VolumeReport", "survey_volumes"]


@dataclass(frozen=True)
class VolumeReport(Report):
    """What a data set of volumes is, and what is wrong with it.

    Args:
        convention: what its labels mean; None when that is in doubt.
        readings: of all cases that are complete.
    """

    convention: Convention | None
    readings: list[VolumeReading]

    @property
    def facts(self) -> dict[str, Any]:
        """Counts and measures, made of plain types."""
        cases = [reading.case for reading in self.readings]
        brains = [round(reading.brain_ml) for reading in self.readings if reading.brain_ml]
        labels = self.convention.labels if self.convention else {}
        return {
            "root": str(self.root),
            "layout": "volumes",
            "convention": self.convention.name if self.convention else None,
            "labels": {str(value): tissue for value, tissue in labels.items()},
            "cases": len(cases),
            "patients": len({case.patient for case in cases}),
            "labelled": sum(case.label is not None for case in cases),
            "grades": tally(case.grade for case in cases if case.grade),
            "sites": tally(case.site for case in cases if case.site),
            **{name: tally(filter(None, map(of, self.readings))) for name, (_, of) in _MEASURES.items()},
            "label_values": tally(
                " ".join(map(str, reading.values)) or "none" for reading in self.readings if reading.values is not None
            ),
            "brain_ml": {"min": min(brains, default=0), "max": max(brains, default=0)},
        }

    def table(self) -> str:
        """For people: what was found, and the problems by kind."""
        facts = self.facts
        measures = {name: listed(facts[name], "cases") for name in ("grades", "sites")}
        measures |= {words: listed(facts[name], "cases") for name, (words, _) in _MEASURES.items()}
        measures["label values"] = listed(facts["label_values"], "cases")
        if facts["brain_ml"]["max"]:
            measures["brain in ml"] = "{min} to {max}".format(**facts["brain_ml"])
        lines = [
            f"{facts['root']} (convention: {self.convention or 'unknown'})",
            f"{facts['cases']} cases of {facts['patients']} patients, {facts['labelled']} with labels",
            "",
            *measure_lines(measures),
            *problem_lines(self.problems),
        ]
        return "\n".join(lines)


def survey_volumes(root: str | Path, convention: str | None = None) -> VolumeReport:
    """Read every volume of a BraTS data set once, on all cores, and collect what is wrong; a bar shows how far it is.

    Errors are what cannot be used or would make results wrong: a modality that is missing, doubled, empty, unreadable
    or on another grid, values that are not finite, labels that are not of the convention or could be of two. Warnings
    are what a person should look at: a skull, a label beside the brain, a case unlike the others, copies of a patient.

    Args:
        root: see :func:`~brainmri_monai.data.brats.cases.find_volumes`.
        convention: what the labels mean; found out when left out.

    Raises:
        BrainMRIError: when the root does not exist, or there is no such convention.
    """
    found = scan_volumes(root, convention)
    read = on_all_cores(lambda case: read_volumes(case, found.root, found.convention), found.cases)
    readings = list(with_bar(read, len(found.cases), "cases"))
    problems = [
        *found.problems,
        *(problem for reading in readings for problem in reading.problems),
        *_unlike_others(readings),
        *_copies(readings),
    ]
    if not found.cases and not problems:
        problems.append(Problem("error", ".", "no case was found", "Name the folder that holds the cases."))
    return VolumeReport(found.root, sorted_by_severity(problems), found.convention, readings)


def _times(numbers: Sequence[float] | None) -> str:
    return " x ".join(f"{number:.3g}" for number in numbers or ())


_MEASURES = {
    "shapes": ("voxels", lambda reading: _times(reading.shape)),
    "spacings": ("spacing in mm", lambda reading: _times(reading.spacing)),
    "axes": ("stored axes", lambda reading: reading.axes or ""),
}


def _unlike_others(readings: Sequence[VolumeReading]) -> Iterator[Problem]:
    """Find the cases that differ from most of the set."""
    remedy = "Look whether it was processed as the others."
    for words, measure in _MEASURES.values():
        counts = Counter(filter(None, map(measure, readings)))
        for reading in readings:
            own = measure(reading)
            if own and counts[own] < max(counts.values()):
                usual = max(counts, key=counts.get)
                what = f"{words} {own}, unlike {usual} of {counts[usual]} cases"
                yield Problem("warning", reading.case.id, what, remedy, reading.case.patient)


def _copies(readings: Sequence[VolumeReading]) -> Iterator[Problem]:
    """Find patients with the very same images, as when the sets of two years lie side by side."""
    owners: dict[tuple[str, int], set[str]] = defaultdict(set)
    for reading in readings:
        for modality in reading.sums.items():
            owners[modality].add(reading.case.patient)
    remedy = "Keep one of them, else a split may put a copy of a training patient into the test."
    for patients in sorted({tuple(sorted(own)) for own in owners.values() if len(own) > 1}):
        what = f"{len(patients)} patients share images, voxel for voxel"
        yield Problem("warning", " = ".join(patients[:3]), what, remedy)
