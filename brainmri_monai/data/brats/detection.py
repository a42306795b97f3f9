"""Which convention a data set follows: decided by all its names and label values together, never case by case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from brainmri_monai.data.brats.conventions import CONVENTIONS, Convention
from brainmri_monai.data.brats.names import conventions_of
from brainmri_monai.data.brats.volumes import label_voxels, open_volume
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.stack import ImageError

if TYPE_CHECKING:
    from brainmri_monai.data.brats.cases import Case

__all__ = ["Detection", "detect"]

_FOREIGN = ("brats2021", "brats2023", "msd")
_FOREIGN_SINCE_2023 = ("brats2023", "brats2024-gli", "brats2024-ped")
_NAME_IT = "Name the right one with --convention."


@dataclass(frozen=True)
class Detection:
    """What was found.

    Args:
        convention: None when it is in doubt.
        doubt: why; empty when it is not.
        remedy: what to do then.
    """

    convention: Convention | None
    doubt: str = ""
    remedy: str = _NAME_IT


def detect(cases: Sequence[Case], since_2023: bool) -> Detection:
    """Decide by the names which conventions there may be, and by the label values which of them it is.

    Label maps are read until one convention is left and all its values have been seen, so that mostly a few are
    enough; a single label map with other values does not change the answer.

    Args:
        cases: of the whole data set.
        since_2023: whether the files are named by the words that came in 2023; for foreign ids.
    """
    foreign = tuple(CONVENTIONS[name] for name in (_FOREIGN_SINCE_2023 if since_2023 else _FOREIGN))
    by_names = {conventions_of(case.id) or foreign: case.id for case in cases}
    candidates = _shared(by_names)
    if not candidates:
        some, *rest = by_names
        other = next((group for group in rest if not _shared([some, group])), rest[-1])
        listed = " and ".join(f"{group[0].name} ({by_names[group]})" for group in (some, other))
        doubt = f"cases of several conventions: {listed}"
        return Detection(None, doubt, "Give each data set a folder of its own.")
    seen: set[int] = set()
    odd: set[int] = set()
    labelled = [case for case in cases if case.label]
    with closing(on_all_cores(_values, labelled)) as labels:
        for case, values in zip(labelled, labels, strict=True):
            fitting = [c for c in candidates if c.allows(seen | values)]
            if not fitting:
                odd = odd or values
                continue
            ruled_out = [c for c in candidates if c not in fitting]
            if on_its_grid := next((c for c in ruled_out if _only_of_grid(c, fitting, case)), None):
                what = f"the label values {_listed(values)} of {fitting[0]}, and the grid of {on_its_grid}"
                return Detection(None, f"{case.id} has {what}")
            seen, candidates = seen | values, fitting
            if len(candidates) == 1 and seen.issuperset(candidates[0].labels):
                return Detection(candidates[0])
    if odd and not any(seen.issuperset(c.labels) for c in candidates):
        others = [c for c in CONVENTIONS.values() if c.allows(odd)]
        doubt = f"the names are those of {candidates[0]}, and there are the label values {_listed(odd)}"
        return Detection(None, doubt + (f", as in {_named(others)}" if others else ""))
    if any(_contradict(one, other) for one, other in combinations(candidates, 2)):
        what = f"the label values {_listed(seen)} fit" if seen else "names without labels fit"
        return Detection(None, f"{what} {_named(candidates)}")
    return Detection(next((c for c in candidates if c.grid == _grid(cases)), candidates[0]))


def _shared(groups: Iterable[tuple[Convention, ...]]) -> list[Convention]:
    """Find the conventions whose labels every group of cases may have: years of one kind may lie side by side."""
    first, *others = groups
    return [c for c in first if all(any(c.labels == other.labels for other in group) for group in others)]


def _contradict(one: Convention, other: Convention) -> bool:
    """Tell whether a value means two tissues, or a tissue has two values."""
    pairs = {*one.labels.items(), *other.labels.items()}
    return len({value for value, _ in pairs}) < len(pairs) or len({tissue for _, tissue in pairs}) < len(pairs)


def _only_of_grid(one: Convention, others: Sequence[Convention], case: Case) -> bool:
    """Tell whether the volumes of a case have the grid of a convention, and of none of the others."""
    grid = _grid([case])
    return one.grid == grid and not any(other.grid in (None, grid) for other in others)


def _values(case: Case) -> set[int]:
    try:
        return {*label_voxels(case.label, open_volume(case.label))[1]}
    except ImageError:  # a defect of this case: told where it is read
        return set()


def _grid(cases: Sequence[Case]) -> tuple[int, ...]:
    for case in cases:
        try:
            return open_volume(case.files[0], case.channels).shape[:3]
        except ImageError:
            continue
    return ()


def _listed(values: set[int]) -> str:
    return ", ".join(map(str, sorted(values)))


def _named(conventions: Sequence[Convention]) -> str:
    """Name those of differing labels."""
    differing = {tuple(c.labels.items()): c for c in reversed(conventions)}
    return " or ".join(str(c) for c in reversed(differing.values()))
