"""The slices of a run: read once, split once, and found again by a resume or an evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from brainmri_monai.data.datalist import digest_of
from brainmri_monai.data.options import WORDS
from brainmri_monai.data.patients import Problem
from brainmri_monai.data.slices.classes import KNOWN
from brainmri_monai.data.slices.datalist import SliceList
from brainmri_monai.data.slices.folders import find_slices
from brainmri_monai.data.slices.shortcuts import SUSPECT
from brainmri_monai.data.slices.splits import SHARES, cluster_groups, split_slices
from brainmri_monai.data.slices.twins import twins_of
from brainmri_monai.data.splits import require_folds
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.engines.distributed import is_main_process, main_process_first
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.engines.slices.reading import ReadSlices, read_set
from brainmri_monai.engines.weights import weight_files
from brainmri_monai.errors import BrainMRIError

__all__ = ["GROUPS", "tested_slices", "training_slices"]

GROUPS = WORDS["groups"]
CLUSTERS = 100  # at the most; in a small set a cluster holds two groups of twins on average
PESSIMISTIC = (
    "slices that look alike were kept together, beyond twins: the test holds looks that the training has not seen, and "
    "the figure is a pessimistic one"
)
LOOK = 16  # rows and columns of the pictures whose clusters are looked for


def training_slices(
    run: RunFolder,
    dataset_dir: str | Path,
    store: ArrayStore,
    size: int,
    fold: int | None = None,
    folds: int = 5,
    groups: str = "twins",
    official: bool = False,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> SliceList:
    """Find the slices of a training, decode each once, leave out what is broken, split the rest, and save the split.

    When the run's folder holds a datalist, it is used again, provided that the data are the same: so a person may move
    slices between its parts before the training begins.

    Args:
        run: the run's folder; asked first whether it may be used.
        dataset_dir: folders of classes (see ``data.slices.folders.find_slices``).
        store: keeps the prepared slices.
        size: rows and columns of a prepared slice.
        fold: which of ``folds`` is the test; ``None`` splits by ``shares`` instead.
        folds: number of folds.
        groups: what is kept together: ``twins``, or ``clusters`` of twins that look alike, for a pessimistic figure.
        official: take the set's own test part.
        shares: of the slices, for training, validation and test.
        seed: of the split.

    Raises:
        BrainMRIError: when no slice can be used, a class has too few, or the folder holds another run.
    """
    if not str(dataset_dir):
        raise BrainMRIError("no data set given.\nGive the folder with a folder of slices a class with --dataset_dir.")
    how = _method(fold, folds, groups, official, shares) | {"seed": seed}
    with main_process_first():
        run.require_same_run()
        found = find_slices(dataset_dir)
        if fold is not None:
            require_folds(folds, fold, len(found.items), "slices")
        read = read_set(found, store, size)
        path = run.path / "datalist.json"
        if path.exists():
            datalist = SliceList.load(path)
            run.require_same_data(datalist, how, digest_of(read.entries(read.twins)))
            datalist.root = found.root
            return datalist
        together = read.twins if groups == "twins" else _clusters(read, seed)
        entries = read.entries(together)
        split = split_slices(read.items, together.tolist(), seed, folds, fold, official, shares)
        classes = sorted({entry["label"] for entry in entries})
        layout = "slices with an official test" if found.official else "slices"
        left_out = [problem for problem in read.problems if problem.severity == "error"]
        datalist = SliceList.build(found.root, layout, classes, entries, split, how, left_out)
        datalist.split["notes"] += [PESSIMISTIC] if groups == "clusters" else []
        datalist.split["notes"] += _shortcuts(read.probe)
        datalist.split["probe"] = read.probe
        datalist.save(path)
        if is_main_process():
            _print(datalist, read)
        return datalist


def tested_slices(
    run: RunFolder,
    dataset_dir: str | Path,
    store: ArrayStore,
    size: int,
    ensemble: Sequence[str | Path] = (),  # noqa: PT028
) -> SliceList:
    """The slices of an evaluation: the run's own test slices, or all of another data set as an external test.

    Args:
        run: the folder of the finished run.
        dataset_dir: empty, or where the run's own data lie now, or other folders of classes.
        store: keeps the prepared slices.
        size: rows and columns of a prepared slice.
        ensemble: weights, or runs, that answer together in place of the run's own.

    Returns:
        The run's datalist; with another data set its slices are the ``test`` part and the ``root`` is theirs.

    Raises:
        BrainMRIError: when the data have changed, or the other data set holds a slice that the run, or a member of the
            ensemble, was trained on, or a class that it does not know.
    """
    run.require_same_input()
    datalist = SliceList.load(run.trained_on)
    with main_process_first():
        found = find_slices(str(dataset_dir) or datalist.root)
        read = read_set(found, store, size)
    entries = read.entries(read.twins)
    if digest_of(entries) == datalist.digest:
        datalist.root = found.root
        return datalist
    if not str(dataset_dir) or found.root == datalist.root:
        raise BrainMRIError(
            f"the data in {found.root} are not those that the run was made with (digest {datalist.digest}).\n"
            "Bring them back, or give another data set with --dataset_dir as an external test."
        )
    left_out = [problem for problem in read.problems if problem.severity == "error"]
    members, notes = _members(ensemble)
    external = run.external(datalist, found.root, "slices", entries, left_out, members)
    external.split |= {"ensemble": sorted(str(file.resolve()) for file in weight_files(ensemble))} if ensemble else {}
    external.split["notes"] += notes
    unknown = sorted({entry["label"] for entry in entries} - set(datalist.types))
    if unknown:
        raise BrainMRIError(
            f"the weights know the classes {', '.join(datalist.types)}; {found.root} also holds {', '.join(unknown)}.\n"
            "Rename or take out these folders, or train with all classes."
        )
    with main_process_first():
        _find_twins_of_training(external, read, [datalist, *members], store, size)
    if is_main_process():
        _print_left_out(left_out)
    return external


def _members(ensemble: Sequence[str | Path]) -> tuple[list[SliceList], list[str]]:
    """What the members of an ensemble were trained on, and what a reader of their test has to know."""
    files = weight_files(ensemble)
    lists, notes = [], [f"an ensemble of {len(files)}: {', '.join(map(str, files))}"] if files else []
    for file in files:
        beside = (folder / "datalist.json" for folder in (file.parent.parent, file.parent))  # of a run; of a bundle
        path = next((path for path in beside if path.is_file()), None)
        if path is None:
            notes.append(f"what {file} was trained on is not known: these slices may be among it")
        else:
            lists.append(SliceList.load(path))
    return lists, notes


def _find_twins_of_training(
    external: SliceList, read: ReadSlices, runs: Sequence[SliceList], store: ArrayStore, size: int
) -> None:
    """Record which slices of an external test are nearly the same picture as one that a run was trained on."""
    trained: dict[Path, dict[str, str]] = {}  # root → id → digest: the folds of a cross-validation share theirs
    for one in runs:
        used = {entry["id"]: entry["digests"][0] for part in ("training", "validation") for entry in one.parts[part]}
        trained.setdefault(one.root, {}).update(used)
    found = np.zeros(len(read.items), dtype=bool)
    for root, used in trained.items():
        try:
            own = read_set(find_slices(root), store, size)
        except BrainMRIError:
            note = f"whether they are twins of slices of the training is not known: {root} cannot be read"
            external.split["notes"].append(note)
            continue
        rows = [row for row, one in enumerate(own.items) if used.get(one.id) == own.digests[row]]
        if len(rows) < len(used):
            external.split["notes"].append(
                f"{len(used) - len(rows)} of {len(used)} slices of the training are not in {root} any more: "
                "whether these slices are twins of them is not known"
            )
        known = own.pictures[rows]
        found |= np.asarray(twins_of(read.pictures, known), dtype=bool)
    twins = [item.id for item, twin in zip(read.items, found, strict=True) if twin]
    external.split["twins_of_training"] = twins
    if twins:
        external.split["notes"].append(f"{len(twins)} of {len(read.items)} slices have twins in the training")


def _method(fold: int | None, folds: int, groups: str, official: bool, shares: Sequence[float]) -> dict[str, object]:
    """How the split is asked for, as ``datalist.json`` records it."""
    if official and groups == "clusters":
        raise BrainMRIError(
            "the official test is as it is, whatever looks alike in the training.\n"
            "Leave out --official, or --groups clusters."
        )
    if official and fold is not None:
        raise BrainMRIError("the official test and a fold are both asked for.\nGive --official or --fold, not both.")
    if min(shares) <= 0:
        raise BrainMRIError(
            f"the shares of training, validation and test are {', '.join(f'{share:.3g}' for share in shares)}.\n"
            "Give --validation_share and --test_share, less than 1 together."
        )
    if fold is not None:
        if not np.allclose(shares, SHARES):
            raise BrainMRIError(
                "a fold has its own test, and 15 % of the other slices as validation.\n"
                "Leave out --validation_share and --test_share, or --fold."
            )
        return {"method": "kfold", "fold": fold, "folds": folds, "groups": groups}
    return {"method": "official" if official else "holdout", "groups": groups, "shares": list(shares)}


def _shortcuts(probe: dict[str, Any] | None) -> list[str]:
    told = [f"{name} {area:.2f}" for name, area in (probe or {}).get("together", {}).items() if area > SUSPECT]
    if not told:
        return []
    return [
        f"what is not anatomy tells the class (AUC {', '.join(told)}): a network may learn the source of the pictures "
        "in place of the disease"
    ]


def _clusters(read: ReadSlices, seed: int) -> np.ndarray:
    """Clusters of the groups of twins by how their pictures look when they are made very small."""
    pictures = torch.from_numpy(np.asarray(read.pictures))[:, None]
    blocks = [adaptive_avg_pool2d(some.float(), LOOK).flatten(1) for some in pictures.split(1024)]
    clusters = max(1, min(CLUSTERS, len(np.unique(read.twins)) // 2))
    return cluster_groups(torch.cat(blocks).numpy(), clusters, seed, read.twins)


def _print(datalist: SliceList, read: ReadSlices) -> None:
    sizes = ", ".join(f"{part} {len(entries)}" for part, entries in datalist.parts.items())
    counts = Counter(entry["label"] for entry in datalist.entries)
    groups = {entry["group"] for entry in datalist.entries}
    kind = datalist.split["groups"]
    print(f"data: {datalist.root} (layout: {datalist.layout}), {len(datalist.entries)} slices: {sizes}")
    print(f"kept together: {len(groups)} groups of {kind}; the patients are not known")
    print("classes: " + ", ".join(f"{name} {counts[name]}" for name in datalist.types))
    for note in datalist.split["notes"]:
        print(f"note: {note}")
    own = [name for name in datalist.types if name not in KNOWN]
    if own:
        print(f"note: classes of your own, which are none of {', '.join(KNOWN)}: {', '.join(own)}")
    _print_left_out([problem for problem in read.problems if problem.severity == "error"])


def _print_left_out(problems: Iterable[Problem]) -> None:
    for problem in problems:
        print(f"left out: {problem.where}: {problem.what}. {problem.remedy}")
