"""Parts of a set of slices: twins together, stratified by class, with the set's own test part or without."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from brainmri_monai.data.slices.folders import Slice
from brainmri_monai.data.splits import Split, deal, holdout, kfold
from brainmri_monai.errors import BrainMRIError

__all__ = ["SHARES", "cluster_groups", "split_slices"]

SHARES = (0.70, 0.10, 0.20)
"""Of the slices, for training, validation and test."""


def split_slices(
    items: Sequence[Slice],
    groups: Sequence[int],
    seed: int,
    folds: int = 5,
    fold: int | None = None,
    official: bool = False,
    shares: Sequence[float] = SHARES,
) -> Split:
    """Split slices so that no group is divided, stratified by class.

    Args:
        items: the slices.
        groups: for each slice the number of its group, such as those of
            :func:`~brainmri_monai.data.slices.twins.find_twins` or, for pessimistic folds, of :func:`cluster_groups`.
        seed: decides the shuffle; the folds of one cross-validation share it.
        folds: number of folds, when ``fold`` is given.
        fold: which fold of a cross-validation is the test, from 0; one split by ``shares`` when left out.
        official: take the set's own test part, and divide its training part alone. Groups that reach over both stay
            divided then, which a note counts: score the test with and without these slices.
        shares: of the slices, for training, validation and test.

    Raises:
        BrainMRIError: when a class has too few groups or is not in the training, there is no such fold, or no official
            test part.
    """
    split = _official(items, groups, seed, shares) if official else _own(items, groups, seed, folds, fold, shares)
    return Split(split.parts, [*split.notes, *_absent(items, split)])


def cluster_groups(
    features: np.ndarray, clusters: int, seed: int = 0, groups: Sequence[int] | None = None
) -> np.ndarray:
    """Group slices by clusters of their features (k-means), for folds in which what looks alike is on one side.

    Where patients are not known, folds of whole clusters give a pessimistic figure: each test holds looks that the
    training has not seen.

    Args:
        features: N D, such as a network's features before its last layer; the columns are standardised.
        clusters: how many; several for each class and fold, such as 100.
        seed: of the first centres.
        groups: for each slice the number of its group of twins, which stays together: its mean is clustered.

    Returns:
        N numbers of clusters.
    """
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    groups = np.arange(len(features)) if groups is None else np.asarray(groups)
    _, group, count = np.unique(groups, return_inverse=True, return_counts=True)
    features = StandardScaler().fit_transform(np.asarray(features, dtype=np.float64))
    means = np.zeros((len(count), features.shape[1]))
    np.add.at(means, group, features)
    means /= count[:, None]
    found = KMeans(min(clusters, len(count)), n_init=3, random_state=seed).fit_predict(means, sample_weight=count)
    return found[group]


_Members = dict[str, list[int]]  # name of a group → indices of its slices


def _own(
    items: Sequence[Slice], groups: Sequence[int], seed: int, folds: int, fold: int | None, shares: Sequence[float]
) -> Split:
    members = _members(items, groups)
    strata, sizes = _strata(items, members)
    _require_groups(strata, folds if fold is not None else 3)
    if fold is not None:
        split = kfold(strata, folds, fold, seed, sizes, unit="groups of slices")
    else:
        split = holdout(strata, seed, shares, sizes, unit="groups of slices")
    return Split({part: _ids(items, members, names) for part, names in split.parts.items()}, split.notes)


def _official(items: Sequence[Slice], groups: Sequence[int], seed: int, shares: Sequence[float]) -> Split:
    test = [k for k, item in enumerate(items) if item.part == "testing"]
    pool = [k for k, item in enumerate(items) if item.part == "training"]
    if not test or not pool:
        raise BrainMRIError(
            "the official split was asked for, and there is no test or no training part.\n"
            "Give the folder that holds Training/ and Testing/, or leave the official split out."
        )
    in_pool = {groups[k] for k in pool}
    members = _members(items, groups, pool)
    strata, sizes = _strata(items, members)
    _require_groups(strata, 2)
    training, validation, _ = shares
    whole = training + validation
    dealt = deal(strata, seed, {"training": training / whole, "validation": validation / whole}, sizes)
    parts = {part: _ids(items, members, names) for part, names in dealt.items()}
    both = sum(groups[k] in in_pool for k in test)
    notes = [f"{both} of {len(test)} slices of the official test have twins in the training"] if both else []
    return Split({**parts, "test": [items[k].id for k in test]}, notes)


def _members(items: Sequence[Slice], groups: Sequence[int], among: Sequence[int] | None = None) -> _Members:
    members: _Members = defaultdict(list)
    for k in range(len(items)) if among is None else among:
        members[f"{groups[k]:09d}"].append(k)
    return members


def _strata(items: Sequence[Slice], members: _Members) -> tuple[dict[str, tuple[str]], dict[str, int]]:
    """Give each group its most frequent class, and its size."""
    label = {name: Counter(items[k].label for k in own).most_common(1)[0][0] for name, own in members.items()}
    return {name: (label[name],) for name in members}, {name: len(own) for name, own in members.items()}


def _ids(items: Sequence[Slice], members: _Members, names: Sequence[str]) -> list[str]:
    return [items[k].id for k in sorted(k for name in names for k in members[name])]


def _absent(items: Sequence[Slice], split: Split) -> list[str]:
    """Tell which classes a part lacks.

    Raises:
        BrainMRIError: when it is the training.
    """
    label = {item.id: item.label for item in items}
    classes = {label[name] for names in split.parts.values() for name in names}
    notes = []
    for part, names in split.parts.items():
        absent = ", ".join(sorted(classes - {label[name] for name in names}))
        if absent and part == "training":
            raise BrainMRIError(
                f"no slice of {absent} is in the training, which could not learn it.\n"
                "Give more slices of it, leave it out, or split otherwise."
            )
        if absent:
            notes.append(f"the {part} has no slice of {absent}")
    return notes


def _require_groups(strata: dict[str, tuple[str]], needed: int) -> None:
    counts = Counter(label for (label,) in strata.values())
    rare = {label: count for label, count in counts.items() if count < needed}
    if rare or len(counts) < 2:
        found = ", ".join(f"{label} {count}" for label, count in sorted(counts.items())) or "none"
        less = "fewer folds, or twins alone as the groups, need less"
        more = [f"Give more slices of {label!r}; {less}." for label in rare]
        raise BrainMRIError(
            f"two classes or more are needed, each with {needed} groups of slices that look alike; found: {found}.\n"
            f"{more[0] if more else 'Add slices of another class.'}"
        )
