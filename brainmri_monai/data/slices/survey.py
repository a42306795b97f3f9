"""One pass over all slices of class folders: what they are, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainmri_monai.data.patients import Problem
from brainmri_monai.data.reporting import (
    Report,
    aligned,
    listed,
    measure_lines,
    problem_lines,
    sorted_by_severity,
    tally,
)
from brainmri_monai.data.slices.folders import SliceSet, scan_slices
from brainmri_monai.data.slices.reading import Keep, SliceReading, read_all
from brainmri_monai.data.slices.shortcuts import NAMES, SUSPECT, Probe, probe_shortcuts
from brainmri_monai.data.slices.twins import Twins, find_twins

__all__ = ["SliceReport", "probe_readings", "survey_slices", "usable_slices"]

_TOGETHER = "Split with twins together, as this package does: else the test holds what was learnt."
_LEAK = "Score the test also without them, as this package does with an official test, or split anew."
_ONE_LABEL = "Keep the picture in the folder of its true class alone."


@dataclass(frozen=True)
class SliceReport(Report):
    """What a set of single slices is, and what is wrong with it.

    Args:
        classes: sorted.
        official: whether the set has a training and a test part of its own.
        readings: of the slices that can be used: they can be read, and are not in two classes pixel for pixel.
        twins: among these, in the order of the readings.
        probe: how well the class is told by what is not anatomy; None when there are too few.
    """

    classes: tuple[str, ...]
    official: bool
    readings: list[SliceReading]
    twins: Twins
    probe: Probe | None

    @property
    def facts(self) -> dict[str, Any]:
        """Counts and measures, made of plain types."""
        groups, copies = self.twins.groups(), self.twins.copies()
        counts = Counter((reading.item.label, reading.item.part) for reading in self.readings)
        parts = sorted({part for _, part in counts if part}, reverse=True)
        return {
            "root": str(self.root),
            "layout": "slices",
            "official_split": self.official,
            "slices": len(self.readings),
            "counts": {
                label: {part: counts[label, part] for part in parts} if parts else counts[label, None]
                for label in self.classes
            },
            "sizes": tally("{} x {}".format(*reading.size) for reading in self.readings),
            "modes": tally(reading.mode for reading in self.readings),
            "twins": {
                "groups": len(groups),
                "slices": sum(map(len, groups)),
                "largest_group": max(map(len, groups), default=0),
                "slices_pixel_for_pixel": sum(map(len, copies)),
                "slices_only_turned_or_mirrored": len(self.twins.only_turned()),
            },
            "auc_without_anatomy": self.probe and {"together": self.probe.together, **self.probe.alone},
        }

    def table(self) -> str:
        """For people: what was found, how the class is told without anatomy, and the problems by kind."""
        facts = self.facts
        twins = facts["twins"]
        told = (
            f"{twins['slices']} slices in {twins['groups']} groups, the largest of {twins['largest_group']}; "
            f"{twins['slices_pixel_for_pixel']} have a twin pixel for pixel, "
            f"{twins['slices_only_turned_or_mirrored']} have turned or mirrored twins alone"
        )
        measures = {
            "rows x columns": listed(facts["sizes"], "slices"),
            "pixels": listed(facts["modes"], "slices"),
            "twins": told if twins["groups"] else "",
        }
        lines = [
            f"{facts['root']} (layout: slices{', with a training and a test part' if self.official else ''})",
            f"{facts['slices']} slices of {len(self.classes)} classes; their patients are not known",
            "",
            *_counts_table(self.classes, self.readings, self.twins),
            "",
            *measure_lines(measures),
            *_probe_table(self.probe),
            *problem_lines(self.problems),
        ]
        return "\n".join(lines)

    def divided(self, parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Problem]:
        """Find twins in two parts of a split: an official test, or the parts of a datalist.

        Args:
            parts: name of a part → entries with ``image``, paths as seen from the root.
        """
        part_of = {file: part for part, entries in parts.items() for entry in entries for file in entry["image"]}
        yield from self._divided(part_of)

    def _divided(self, part_of: Mapping[str, str]) -> Iterator[Problem]:
        for members in self.twins.groups():
            first = {}
            for k in members:
                name = self.readings[k].item.id
                if name in part_of:
                    first.setdefault(part_of[name], name)
            if len(first) > 1:
                what = f"twins are in {' and in '.join(sorted(first))}"
                yield Problem("error", " = ".join(first[part] for part in sorted(first)), what, _LEAK)


def survey_slices(root: str | Path) -> SliceReport:
    """Read every slice once, on all cores, find twins, and collect what is wrong; a bar shows how far it is.

    Errors are what cannot be used or would make results wrong: files that cannot be read, a class without slices, one
    picture in two classes, twins in the official training and test. Warnings are what a person should look at: classes
    of other names than usual, twins, nearly the same picture in two classes, a class that is told without anatomy.

    Args:
        root: see :func:`~brainmri_monai.data.slices.folders.find_slices`.

    Raises:
        BrainMRIError: when the root does not exist, or holds no folders of classes.
    """
    found = scan_slices(root)
    readings, twins, problems = usable_slices(found)
    probe = probe_readings(readings, twins)
    report = SliceReport(found.root, [], found.classes, found.official, readings, twins, probe)
    problems += [*_too_few(report), *_many_twins(report), *_told_without_anatomy(probe)]
    if found.official:
        problems += report._divided({reading.item.id: reading.item.part for reading in readings})
    report.problems.extend(sorted_by_severity(problems))
    return report


def usable_slices(found: SliceSet, keep: Keep | None = None) -> tuple[list[SliceReading], Twins, list[Problem]]:
    """Read every slice once, on all cores, and leave out what cannot be used.

    Args:
        found: the slices.
        keep: see :func:`~brainmri_monai.data.slices.reading.read_slice`.

    Returns:
        The readings of the slices that are left, the twins among them, and the problems: errors are what was left out.
    """
    everything = read_all(found.items, found.root, keep)
    problems = [*found.problems, *(problem for reading in everything for problem in reading.problems)]
    readings = [reading for reading in everything if reading.readable]
    twins = find_twins([reading.fingerprint for reading in readings])
    in_doubt = set()
    for members, exact in twins.contradictions([reading.item.label for reading in readings]):
        in_doubt |= {*members} if exact else set()
        problems.append(_contradiction([readings[k] for k in members], exact))
    if in_doubt:
        readings = [reading for k, reading in enumerate(readings) if k not in in_doubt]
        twins = find_twins([reading.fingerprint for reading in readings])
    return readings, twins, problems


def probe_readings(readings: Sequence[SliceReading], twins: Twins) -> Probe | None:
    """Ask how well the class is told by what is not anatomy; None when there are too few slices."""
    traits, names = [reading.traits for reading in readings], [reading.item.path.stem for reading in readings]
    return probe_shortcuts(traits, names, [reading.item.label for reading in readings], twins.group.tolist())


def _contradiction(readings: Sequence[SliceReading], exact: bool) -> Problem:
    first = {reading.item.label: reading.item.id for reading in reversed(readings)}
    classes = " and ".join(repr(label) for label in sorted(first))
    how = "the same picture, pixel for pixel," if exact else "nearly the same picture, perhaps turned or mirrored,"
    where = " = ".join(first[label] for label in sorted(first))
    return Problem("error" if exact else "warning", where, f"{how} is in {classes}", _ONE_LABEL)


def _too_few(report: SliceReport) -> Iterator[Problem]:
    """Find out whether training would refuse the set: it needs two classes, and two slices of each, no twins."""
    remedy = "Add slices, or leave the class out."
    if len(report.classes) == 1:
        what = f"a classification needs two classes, found {report.classes[0]!r} alone"
        yield Problem("error", report.classes[0], what, remedy)
    for label in report.classes:
        own = [k for k, reading in enumerate(report.readings) if reading.item.label == label]
        if len({*report.twins.group[own]}) < 2:
            what = f"a class needs two slices that are no twins, {label!r} has {len(own)} slices"
            yield Problem("error", label, what, remedy)


def _many_twins(report: SliceReport) -> Iterator[Problem]:
    groups = report.twins.groups()
    if groups:
        example = " = ".join(report.readings[k].item.id for k in groups[0][:2])
        what = f"{sum(map(len, groups))} of {len(report.readings)} slices have twins, such as {example}"
        yield Problem("warning", ".", what, _TOGETHER)


def _told_without_anatomy(probe: Probe | None) -> Iterator[Problem]:
    for label, area in (probe.together if probe else {}).items():
        if area > SUSPECT:
            by = ", ".join(f"{group} {probe.alone[group][label]:.2f}" for group in probe.telling(label)[:3])
            what = f"told without anatomy, AUC {area:.2f} (alone: {by})"
            remedy = "Test on slices of another source: a network may learn the source in place of the disease."
            yield Problem("warning", label, what, remedy)
    named = [label for label, area in (probe.alone[NAMES] if probe else {}).items() if area > SUSPECT]
    if named:
        what = f"the names of the files tell {', '.join(named)}"
        remedy = "Nothing to do for a network, which does not see them; do not split by names or their order."
        yield Problem("warning", ".", what, remedy)


def _counts_table(classes: Sequence[str], readings: Sequence[SliceReading], twins: Twins) -> list[str]:
    """Give the lines of a table of slices, class by part, with the number of groups that are no twins of each other."""
    parts = sorted({reading.item.part for reading in readings if reading.item.part}, reverse=True)
    rows = [["class", *parts, "slices", "without twins"]]
    for label in (*classes, None):
        own = [k for k, reading in enumerate(readings) if label in (None, reading.item.label)]
        numbers = [sum(readings[k].item.part == part for k in own) for part in parts]
        rows.append([label or "all", *map(str, [*numbers, len(own), len({*twins.group[own]})])])
    return aligned(rows)


def _probe_table(probe: Probe | None) -> list[str]:
    if probe is None:
        return ["", "not asked how well the class is told without anatomy: a class has fewer than ten groups of slices"]
    columns = {"together": probe.together, **probe.alone}
    rows = [["told without anatomy (AUC)", *columns]]
    rows += [[label, *(f"{own[label]:.2f}" for own in columns.values())] for label in probe.together]
    return ["", *aligned(rows)]
