"""Parts of a data set: grouped by patient, stratified, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from brainmri_monai.errors import BrainMRIError

__all__ = ["PARTS", "Split", "deal", "holdout", "kfold", "leave_out", "require_classes", "require_folds"]

PARTS = ("training", "validation", "test")
Strata = Mapping[str, Sequence[str]]  # patient → (class, finer label, …), such as ("astrocytoma", "2")
_Group = tuple[str, ...]  # of patients: those of a class, those of a finer label, or all


@dataclass(frozen=True)
class Split:
    """Which patients each part holds, sorted, and what a reader should know of how it came about."""

    parts: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)


def holdout(
    strata: Strata,
    seed: int,
    shares: Sequence[float] = (0.70, 0.15, 0.15),
    sizes: Mapping[str, int] | None = None,
    unit: str = "patients",
) -> Split:
    """Split patients into training, validation and test.

    Each stratum is shuffled and dealt out one by one to the part that lacks most, of its class above all, and of its
    finer labels in any class. A stratum too small for every part needs no special case: its patients go where their
    class lacks them, the training first, and a note says so.

    Args:
        strata: patient → (class, finer label, …). A patient is one entry, with all images, and so stays together.
        seed: decides the shuffle.
        shares: of the patients, for training, validation and test.
        sizes: patient → how much it counts, for units that differ much; the largest are dealt out first then.
        unit: what messages call what is dealt out.

    Raises:
        BrainMRIError: when there are too few patients for three parts.
    """
    parts = deal(strata, seed, dict(zip(PARTS, shares, strict=True)), sizes)
    _require_filled(parts, unit)
    return Split(parts, _rare_notes(strata, len(PARTS), "the three parts"))


def kfold(
    strata: Strata,
    folds: int,
    fold: int,
    seed: int,
    sizes: Mapping[str, int] | None = None,
    unit: str = "patients",
) -> Split:
    """Cross-validation: one fold is the test, 15 % of the other patients the validation, the rest the training.

    Args:
        strata: as for :func:`holdout`.
        folds: number of folds, at least 2.
        fold: which fold is the test, from 0.
        seed: decides the shuffle; the folds of one cross-validation share it.
        sizes: as for :func:`holdout`.
        unit: as for :func:`holdout`.

    Raises:
        BrainMRIError: when there are fewer patients than folds or no such fold, or too few for three parts.
    """
    require_folds(folds, fold, len(strata), unit)
    if sizes:
        test = deal(strata, seed, {str(k): 1 / folds for k in range(folds)}, sizes)[str(fold)]
    else:
        dealt = [patient for members in _shuffled_classes(strata, seed) for patient in members]
        test = sorted(dealt[fold::folds])  # like cards: each stratum is spread over the folds to within one patient
    return Split(_with_test(strata, test, seed, sizes, unit), _rare_notes(strata, folds, f"the {folds} folds"))


def leave_out(strata: Strata, group_of: Mapping[str, str | None], group: str, seed: int) -> Split:
    """Test on all patients of one group, such as a hospital; 15 % of the others are the validation.

    Args:
        strata: as for :func:`holdout`.
        group_of: patient → group; None for a patient of whom it is not known, who is left out.
        group: which group is the test.
        seed: decides the shuffle.

    Raises:
        BrainMRIError: when there is no such group, or too few other patients for training and validation.
    """
    known = {patient: stratum for patient, stratum in strata.items() if group_of.get(patient)}
    test = sorted(patient for patient in known if group_of[patient] == group)
    if not test:
        counts = Counter(group_of[patient] for patient in known)
        if not counts:
            raise BrainMRIError(
                f"no patient is of {group!r}: no name and no table tells where any is from.\n"
                "Put a CSV file with the columns patient and site into the folder of the data."
            )
        found = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        raise BrainMRIError(f"no patient is of {group!r}; there are: {found}.\nName one of these.")
    unknown = len(strata) - len(known)
    notes = [f"left out, as it is not known whether they are of {group}: {unknown}"] if unknown else []
    return Split(_with_test(known, test, seed), notes)


def require_classes(strata: Strata) -> None:
    """
    Raises:
        BrainMRIError: when a classification has nothing to learn or to test on: one class only, or one with fewer
            than two patients.
    """
    counts = Counter(stratum[0] for stratum in strata.values())
    found = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
    if len(counts) < 2:
        raise BrainMRIError(
            f"at least two classes are needed, to learn to tell them apart; patients found: {found}.\n"
            "Add patients of another class."
        )
    rare = sorted(name for name, count in counts.items() if count < 2)
    if rare:
        raise BrainMRIError(
            f"every class needs two patients, to learn from one and test on another; patients found: {found}.\n"
            f"Add patients to {', '.join(rare)}, or leave that class out."
        )


def require_folds(folds: int, fold: int, count: int, unit: str = "patients") -> None:
    """
    Raises:
        BrainMRIError: when so many patients, or what else the unit is, have no such fold.
    """
    if not 2 <= folds <= count:
        raise BrainMRIError(
            f"{folds} folds asked for, and there are {count} {unit}.\n"
            f"Choose --folds from 2 to {count}, or give more {unit}."
        )
    if not 0 <= fold < folds:
        raise BrainMRIError(f"fold {fold} asked for, of {folds} folds.\nChoose --fold from 0 to {folds - 1}.")


def deal(
    strata: Strata, seed: int, shares: Mapping[str, float], sizes: Mapping[str, int] | None = None
) -> dict[str, list[str]]:
    """Deal patients out to parts by their shares, as :func:`holdout` does to its three; the members are sorted.

    The first patient of each class goes to the first part.
    """
    parts: dict[str, list[str]] = {part: [] for part in shares}
    dealt: Counter[_Group] = Counter()
    filled: dict[str, Counter[_Group]] = {part: Counter() for part in shares}
    for members in _shuffled_classes(strata, seed):
        if sizes:
            members.sort(key=lambda patient: -sizes[patient])  # so that each part gets large and small ones alike
        for number, patient in enumerate(members, start=1):
            size = sizes[patient] if sizes else 1
            groups = _groups(strata[patient])
            dealt.update(dict.fromkeys(groups, size))
            lack = {part: _lack(share, groups, dealt, filled[part]) for part, share in shares.items()}
            # a part that is still empty comes first
            part = max(lack, key=lambda part: (not parts[part], lack[part])) if number > 1 else next(iter(shares))
            parts[part].append(patient)
            filled[part].update(dict.fromkeys(groups, size))
    return {part: sorted(members) for part, members in parts.items()}


def _groups(stratum: Sequence[str]) -> dict[_Group, int]:
    """What a part should have its share of → its weight: the class, the finer labels in any class, and all patients."""
    label, *finer = stratum
    return {("class", label): 2, (): 1} | ({("finer", *finer): 1} if finer else {})


def _lack(share: float, groups: Mapping[_Group, int], dealt: Counter[_Group], filled: Counter[_Group]) -> float:
    """What a part lacks of its share of these groups."""
    lack = 0.0
    for group, weight in groups.items():
        lack += weight * share * dealt[group]
        lack -= weight * filled[group]
    return lack


def _shuffled_classes(strata: Strata, seed: int) -> list[list[str]]:
    """The patients of each class, stratum after stratum, shuffled within each.

    Every second class begins with its last stratum: else classes of the same strata, dealt out in step, would give one
    part the same finer label of each.
    """
    shuffler = random.Random(seed)
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient in sorted(strata):
        members[tuple(strata[patient])].append(patient)
    classes: dict[str, list[list[str]]] = defaultdict(list)
    for stratum in sorted(members):
        shuffler.shuffle(members[stratum])
        classes[stratum[0]].append(members[stratum])
    turned = (own[::-1] if number % 2 else own for number, own in enumerate(classes.values()))
    return [list(chain.from_iterable(own)) for own in turned]


def _with_test(
    strata: Strata, test: list[str], seed: int, sizes: Mapping[str, int] | None = None, unit: str = "patients"
) -> dict[str, list[str]]:
    """Deal those who are not in the test out to training and validation."""
    others = {patient: strata[patient] for patient in strata if patient not in set(test)}
    parts = {**deal(others, seed, {"training": 0.85, "validation": 0.15}, sizes), "test": test}
    _require_filled(parts, unit)
    return parts


def _require_filled(parts: Mapping[str, Sequence[str]], unit: str) -> None:
    empty = [part for part in PARTS if not parts[part]]
    if empty:
        found = ", ".join(f"{part} {len(parts[part])}" for part in PARTS)
        raise BrainMRIError(
            f"too few {unit} for training, validation and test; the parts would hold: {found}.\n"
            f"Give more {unit}, at least three of each class."
        )


def _rare_notes(strata: Strata, parts: int, where: str) -> list[str]:
    counts = Counter(tuple(stratum) for stratum in strata.values())
    rare = [f"{' '.join(stratum)} ({count})" for stratum, count in sorted(counts.items()) if count < parts]
    if not rare:
        return []
    return [f"too few patients for each of {where}, so stratified by their class alone: {', '.join(rare)}"]
