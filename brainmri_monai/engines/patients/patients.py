"""The patients of a run: decoded once, split once, and found again by a resume, an evaluation or an inference."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset

from brainmri_monai.data.datalist import Datalist, digest_of, entry
from brainmri_monai.data.images import read_doubts, require_portable
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.patients import Patient, PatientSet, Problem, find_cases, find_patients, relative
from brainmri_monai.data.persons import find_persons, image_marks, split_persons
from brainmri_monai.data.splits import require_folds
from brainmri_monai.data.stack import ImageError
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.data.survey import read_patient
from brainmri_monai.engines.distributed import is_main_process, main_process_first
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.transforms.slices import prepare_slices

__all__ = ["CaseStream", "reason", "slice_store", "tested_patients", "training_patients"]


def slice_store(folder: str | Path, size: int) -> ArrayStore:
    """The store of prepared slices of a size; the recipe's name changes when ``prepare_slices`` does."""
    return ArrayStore(folder, recipe=f"slices 2, {size} px")


def training_patients(
    run: RunFolder, dataset_dir: str | Path, store: ArrayStore, size: int, fold: int | None, folds: int, seed: int
) -> Datalist:
    """Find the patients of a training, prepare each once, leave out what is broken, split the rest, and save it.

    Patients who share images come into one part (see ``data.persons``). When the run's folder holds a datalist, it is
    used again, provided that the data are the same: so a person may move patients between its parts before the training
    begins.

    Args:
        run: the run's folder; asked first whether it may be used.
        dataset_dir: a labelled layout (see ``data.patients.find_patients``).
        store: keeps the prepared slices.
        size: H and W of a prepared slice.
        fold: which of ``folds`` is the test; ``None`` splits 70/15/15 instead.
        folds: number of folds.
        seed: of the split.

    Raises:
        BrainMRIError: when no patient is found, a type has fewer than two, patients of different labels share an image,
            or the folder holds another run.
    """
    if not str(dataset_dir):
        raise BrainMRIError("no data set given.\nGive the folder of the patients with --dataset_dir.")
    with main_process_first():
        run.require_same_run()
        found = find_patients(dataset_dir)
        if fold is not None:
            require_folds(folds, fold, len(found.patients))
        patients, problems = decode(found, store, size)
        entries = [entry(patient, found.root) for patient in patients]
        path = run.path / "datalist.json"
        how = {"method": "holdout"} if fold is None else {"method": "kfold", "fold": fold, "folds": folds}
        how["seed"] = seed
        if path.exists():
            datalist = Datalist.load(path)
            run.require_same_data(datalist, how, digest_of(entries))
            datalist.root = found.root
            return datalist
        _require_plain_names({p.type for p in patients})
        split = split_persons(find_persons(patients, _marks(patients, store), found.root), seed, folds, fold)
        types = sorted({e["type"] for e in entries})
        datalist = Datalist.build(found.root, found.layout, types, entries, split, how, problems)
        graded = any(e["grade"] for e in datalist.parts["training"])
        for task in ("type", "grade"):
            weightless = run.parser.get(f"{task}_weight") == 0
            if weightless or (task == "grade" and not graded):
                why = f"--{task}_weight is 0" if weightless else "no training patient has a grade"
                datalist.split["notes"].append(f"{why}: the {task}s that it answers mean nothing")
                datalist.split.setdefault("unlearnt", []).append(task)
        datalist.save(path)
        _print(datalist, problems)
        _print_doubts(found)
        return datalist


def tested_patients(run: RunFolder, dataset_dir: str | Path, store: ArrayStore, size: int) -> Datalist:
    """The patients of an evaluation: the run's own test patients, or all of another data set as an external test.

    Args:
        run: the folder of the finished run.
        dataset_dir: empty, or where the run's own data lie now, or another labelled data set.
        store: keeps the prepared slices.
        size: H and W of a prepared slice.

    Returns:
        The run's datalist; with another data set its patients are the ``test`` part and the ``root`` is theirs.

    Raises:
        BrainMRIError: when the other data set holds a patient or an image that the run was trained on, or a type that
            it was not.
    """
    run.require_same_input()
    datalist = Datalist.load(run.trained_on)
    with main_process_first():
        found = find_patients(dataset_dir) if str(dataset_dir) else datalist.patients()
        _require_known_types(found, datalist.types)
        patients, problems = decode(found, store, size)
    entries = [entry(patient, found.root) for patient in patients]
    if digest_of(entries) == datalist.digest:
        datalist.root = found.root
        return datalist
    if not str(dataset_dir) or found.root == datalist.root:
        raise BrainMRIError(
            f"the data in {found.root} are not those that the run was made with (digest {datalist.digest}).\n"
            "Bring them back, or give another labelled data set with --dataset_dir as an external test."
        )
    external = run.external(datalist, found.root, found.layout, entries, problems)
    with main_process_first():
        _require_strangers(patients, datalist, external, store)
    _print_left_out(problems)
    _print_doubts(found)
    return external


def _require_known_types(found: PatientSet, types: Sequence[str]) -> None:
    unknown = sorted({patient.type for patient in found.patients} - set(types))
    if unknown:
        raise BrainMRIError(
            f"the weights know the types {', '.join(types)}; {found.root} also holds {', '.join(unknown)}.\n"
            "Rename or take out these folders, or train with all types."
        )


def _require_strangers(patients: list[Patient], run: Datalist, external: Datalist, store: ArrayStore) -> None:
    """Refuse patients whose pictures, under other names or saved anew, are those of a patient of the training.

    Raises:
        BrainMRIError: naming the first.
    """
    trained = {e["id"] for part in ("training", "validation") for e in run.parts[part]}
    known = [patient for patient in run.patients().patients if patient.id in trained]
    if not all(file.exists() for patient in known for file in patient.image):
        note = f"whether they share pictures with patients of the training is not known: {run.root} is not at hand"
        external.split["notes"].append(note)
        return
    every = [replace(patient, type=None, grade=None) for patient in [*known, *patients]]  # under any label
    for person in find_persons(every, _marks(every, store), external.root):
        own, other = (
            next((p.id for p in person if (p.id in trained) is of_training), None) for of_training in (False, True)
        )
        if own and other:
            raise BrainMRIError(
                f"patient {own} of {external.root} has the pictures of {other}, on whom the network was trained: "
                "a test on known patients says nothing.\nTake such patients out of --dataset_dir."
            )


def _marks(patients: Sequence[Patient], store: ArrayStore) -> Iterator[np.ndarray]:
    """Those of ``data.persons``, kept beside the prepared slices."""
    kept = ArrayStore(store.folder, recipe="marks 1")
    return on_all_cores(lambda patient: kept.get(patient.image, image_marks), patients)


class CaseStream(IterableDataset):
    """Cases to predict, one after the other; one that fails is kept aside with its reason, and the others go on.

    Args:
        dataset_dir: see ``data.patients.find_cases``.
        transform: applied to each sample, ``id`` and ``image`` (a path, or a list of slice files).
        portable: the transform reads with MONAI's own readers: look at the files before.
    """

    def __init__(self, dataset_dir: str | Path, transform: Any, portable: bool = False) -> None:
        if not str(dataset_dir):
            raise BrainMRIError("nothing to predict.\nGive a patient's folder or file with --dataset_dir.")
        self.cases: PatientSet = find_cases(dataset_dir)
        self.transform = transform
        self.portable = portable
        errors = [p for p in self.cases.problems if p.severity == "error"]
        self.failed: dict[str, str] = {p.where: f"{p.what}. {p.remedy}" for p in errors}
        _print_doubts(self.cases)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for case in self.cases.patients:
            files = [str(file) for file in case.image]
            try:
                if self.portable:
                    require_portable(case.image)
                yield self.transform({"id": case.id, "image": files[0] if len(files) == 1 else files})
            except Exception as error:  # whatever a reader or a transform raises, the next case is another file
                self.failed[case.id] = reason(error)


def decode(found: PatientSet, store: ArrayStore, size: int) -> tuple[list[Patient], list[Problem]]:
    """Decode all files into the store, on all cores; what is broken is left out.

    Returns:
        The patients, without broken slices and without patients who have no other; and all problems.
    """
    bar = progress_bar(len(found.patients), "reading slices", "patients")

    def decode_one(patient: Patient) -> tuple[Patient | None, list[Problem]]:
        try:
            kept, problems = _decode(patient, store, size, found.root)
        finally:
            bar.update()
        return kept, problems

    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        results = list(pool.map(decode_one, found.patients))
    bar.close()
    patients = [patient for patient, _ in results if patient is not None]
    problems = [p for p in found.problems if p.severity == "error"] + [p for _, some in results for p in some]
    if not patients:
        raise BrainMRIError(
            f"no patient in {found.root} can be read; the first reason: {problems[0].where}: {problems[0].what}.\n"
            f"Run `brainmri check {found.root}` for all of them."
        )
    return patients, problems


def _decode(patient: Patient, store: ArrayStore, size: int, root: Path) -> tuple[Patient | None, list[Problem]]:
    try:
        store.get(patient.image, lambda image: prepare_slices(image, size))
        return patient, []
    except ImageError:
        reading = read_patient(patient, root)  # which of the files is it?
        problems = [problem for problem in reading.problems if problem.severity == "error"]
        if not reading.patient.image:
            return None, problems
        store.get(reading.patient.image, lambda image: prepare_slices(image, size))
        return reading.patient, problems


def _require_plain_names(types: Iterable[str]) -> None:
    """So that no column ``p_<type>``, ``p_grade_<g>`` or ``p_<type>_g<g>`` of the predictions is taken for another."""
    for name in types:
        if re.fullmatch(r"(.*_g|grade_)[1-4]", name):
            raise BrainMRIError(
                f"the type '{name}' looks like a grade, and its column in the predictions could not be told apart.\n"
                "Rename the type."
            )


def reason(error: BaseException) -> str:
    """What went wrong with a case, in one line."""
    while error.__cause__ is not None and not isinstance(error, BrainMRIError):
        error = error.__cause__  # MONAI wraps what a transform raises
    return "; ".join(str(error).splitlines()) or type(error).__name__


def _print(datalist: Datalist, problems: list[Problem]) -> None:
    sizes = ", ".join(f"{part} {len(entries)}" for part, entries in datalist.parts.items())
    counts = Counter(e["type"] for e in datalist.entries)
    print(f"data: {datalist.root} (layout: {datalist.layout}), {len(datalist.entries)} patients: {sizes}")
    print("types: " + ", ".join(f"{name} {counts[name]}" for name in datalist.types))
    for note in datalist.split["notes"]:
        print(f"note: {note}")
    _print_left_out(problems)


def _print_left_out(problems: list[Problem]) -> None:
    for problem in problems if is_main_process() else ():
        print(f"left out: {problem.where}: {problem.what}. {problem.remedy}")


def _print_doubts(found: PatientSet) -> None:
    """What a person should look at, of the folders and of the headers of the files: the first of each kind."""
    if not is_main_process():
        return
    doubts = [problem for problem in found.problems if problem.severity == "warning"]
    for some in on_all_cores(lambda patient: _doubts(patient, found.root), found.patients):
        doubts += some
    for remedy, alike in groupby(sorted(doubts, key=lambda doubt: doubt.remedy), lambda doubt: doubt.remedy):
        first, *others = alike
        more = f" (and {len(others)} more such: see `brainmri check`)" if others else ""
        print(f"note: {first.where}: {first.what}{more}. {remedy}")


def _doubts(patient: Patient, root: Path) -> list[Problem]:
    (file, *_) = patient.image
    try:
        return [
            Problem("warning", relative(file, root), what, remedy, patient.id) for what, remedy in read_doubts(file)
        ]
    except ImageError:  # told where the image is read
        return []
