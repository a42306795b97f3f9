"""How well the class of a slice is told by what is not anatomy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brainmri_monai.data.slices.traits import TRAITS, Traits, name_traits

__all__ = ["NAMES", "SUSPECT", "Probe", "probe_shortcuts"]

SUSPECT = 0.9
"""Area under the ROC curve above which a class is told without anatomy."""

NAMES = "names"
"""The group of traits of the files' names, which a network never sees: judged alone, and not among all."""

_FOLDS = 5
_FEWEST = 10  # groups of slices that a class needs


@dataclass(frozen=True)
class Probe:
    """Areas under the ROC curves, each class against the others, cross-validated.

    Args:
        together: class → with all that a picture and its file show.
        alone: group of traits → class → with this group alone; the names of the files are among the groups.
    """

    together: dict[str, float]
    alone: dict[str, dict[str, float]]

    def telling(self, label: str) -> list[str]:
        """The groups of traits that a picture or its file shows, the most telling of a class first."""
        groups = [group for group in self.alone if group != NAMES]
        return sorted(groups, key=lambda group: -self.alone[group][label])


def probe_shortcuts(
    traits: Sequence[Traits], names: Sequence[str], labels: Sequence[str], groups: Sequence[int], seed: int = 0
) -> Probe | None:
    """Learn the class from traits of the source with small boosted trees, and judge them on slices not learnt from.

    Args:
        traits: one a slice, see :func:`~brainmri_monai.data.slices.traits.picture_traits`.
        names: of the files.
        labels: of the slices.
        groups: of twins, which stay together in the cross-validation.
        seed: of the folds.

    Returns:
        None when there is one class alone, or a class has fewer than ten groups of slices.
    """
    from sklearn.model_selection import StratifiedGroupKFold
    from threadpoolctl import threadpool_limits

    counts = Counter(label for label, _ in set(zip(labels, groups, strict=True)))
    if len(counts) < 2 or min(counts.values()) < _FEWEST:
        return None
    classes = sorted(counts)
    target = np.array([classes.index(label) for label in labels])
    columns = {group: np.array([own[group] for own in traits]) for group in TRAITS}
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    folds = list(folds.split(target, target, groups))
    alone = {**columns, NAMES: name_traits(names)}
    with threadpool_limits(1):  # the trees are small: more threads gain little, and on a busy machine they wait
        areas = {group: _areas(values, target, len(classes), folds) for group, values in alone.items()}
        together = _areas(np.concatenate(list(columns.values()), axis=1), target, len(classes), folds)
    named = {group: dict(zip(classes, own, strict=True)) for group, own in areas.items()}
    return Probe(dict(zip(classes, together, strict=True)), named)


def _areas(
    values: np.ndarray, target: np.ndarray, classes: int, folds: Sequence[tuple[np.ndarray, ...]]
) -> list[float]:
    """Give the mean area over the folds for each class."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    if (values == values[0]).all():
        return [0.5] * classes
    found: list[list[float]] = [[] for _ in range(classes)]
    for train, test in folds:
        model = HistGradientBoostingClassifier(
            learning_rate=0.2, max_iter=40, max_leaf_nodes=8, min_samples_leaf=5, early_stopping=False, random_state=0
        )
        scores = model.fit(values[train], target[train]).predict_proba(values[test])
        for column, kind in enumerate(model.classes_):
            truth = target[test] == kind
            if 0 < truth.sum() < len(truth):
                found[kind].append(float(roc_auc_score(truth, scores[:, column])))
    return [round(float(np.mean(own)), 4) if own else 0.5 for own in found]
