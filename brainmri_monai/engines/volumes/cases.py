"""The BraTS cases of a run: preprocessed once, split once, and found again by a resume."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from brainmri_monai.data.brats.cases import Case, CaseSet, find_volumes
from brainmri_monai.data.brats.conventions import Convention
from brainmri_monai.data.brats.datalist import CaseList, case_entry
from brainmri_monai.data.brats.splits import split_cases
from brainmri_monai.data.datalist import digest_of
from brainmri_monai.data.parallel import cores, on_all_cores
from brainmri_monai.data.patients import Problem
from brainmri_monai.data.splits import require_folds
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.engines.distributed import is_main_process, main_process_first
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.errors import BrainMRIError, WriteError
from brainmri_monai.transforms.volumes import load_case, require_regions

__all__ = ["training_cases", "volume_store"]


def volume_store(folder: str | Path, spacing: float) -> ArrayStore:
    """The store of prepared cases at a spacing; the recipe's name changes when ``prepare_case`` does."""
    return ArrayStore(folder, recipe=f"volumes 2, {spacing:g} mm")


def training_cases(
    run: RunFolder,
    dataset_dir: str | Path,
    store: ArrayStore,
    regions: list[str],
    spacing: float = 1.0,
    convention: str | None = None,
    fold: int | None = None,
    folds: int = 5,
    site: str | None = None,
    seed: int = 0,
    allow_missing: bool = False,
) -> CaseList:
    """Find the cases of a training, prepare each once, leave out what is broken, split the rest by patient, save it.

    When the run's folder holds a datalist, it is used again, provided that the data are the same: so a person may move
    cases between its parts before the training begins.

    Args:
        run: the run's folder; asked first whether it may be used.
        dataset_dir: a BraTS data set (see ``data.brats.cases.find_volumes``).
        store: keeps the prepared cases.
        regions: what the network tells apart.
        spacing: side of a voxel in mm.
        convention: of the labels; found out when left out.
        fold: which of ``folds`` is the test; ``None`` splits 70/15/15 instead.
        folds: number of folds.
        site: test on this hospital's patients instead.
        seed: of the split.
        allow_missing: keep cases that lack a modality, which is then 0: for a network that learns to do without.

    Raises:
        BrainMRIError: when no case can be used, the convention is in doubt, or the folder holds another run.
    """
    if not str(dataset_dir):
        raise BrainMRIError("no data set given.\nGive the folder of the cases with --dataset_dir.")
    require_regions(regions)
    if site is not None and fold is not None:
        raise BrainMRIError("a hospital and a fold are both asked for as the test.\nGive --site or --fold, not both.")
    with main_process_first():
        run.require_same_run()
        found = find_volumes(dataset_dir, convention, allow_missing)
        labelled = [case for case in found.cases if case.label]
        if not labelled or found.convention is None:
            raise BrainMRIError(
                f"none of the {len(found.cases)} cases has a label map.\n{found.root}\n"
                "Give cases with label maps; to predict these, run the inference."
            )
        require_told_apart(found.convention, regions, "Give other --regions, or the data set that has these.")
        if fold is not None:
            require_folds(folds, fold, len({case.patient for case in labelled}))
        cases, problems = prepare(found, labelled, store, spacing)
        if is_main_process():  # before the split, which may find too few left
            for problem in problems:
                print(f"left out: {problem.where}: {problem.what}. {problem.remedy}")
        entries = list(on_all_cores(lambda case: case_entry(case, found.root), cases))
        path = run.path / "datalist.json"
        method = "site" if site is not None else "holdout" if fold is None else "kfold"
        how = {"method": method, **({"fold": fold, "folds": folds} if method == "kfold" else {}), "seed": seed}
        how |= {"site": site} if site is not None else {}
        if path.exists():
            datalist = CaseList.load(path)
            run.require_same_data(datalist, how, digest_of(entries))
            if datalist.convention.labels != found.convention.labels:
                raise BrainMRIError(
                    f"{path} has labels by {datalist.convention}, and now they are by {found.convention}.\n"
                    f"Give --convention {datalist.layout} to go on, or --fresh to start over."
                )
            if datalist.types != regions:  # before the first epoch: after it, another run was told
                datalist.types = regions
                datalist.save(path)
            datalist.root = found.root
            return datalist
        split = split_cases(cases, seed, folds, fold, site, [entry["digests"] for entry in entries])
        datalist = CaseList.build(found.root, found.convention.name, regions, entries, split, how, problems)
        datalist.save(path)
        if is_main_process():
            sizes = ", ".join(f"{part} {len(some)}" for part, some in datalist.parts.items())
            print(f"data: {found.root}, {len(entries)} cases of {len({c.patient for c in cases})} patients: {sizes}")
            print(f"labels: {found.convention}")
            _tell_what_labels_lack(found, regions)
            for note in split.notes:
                print(f"note: {note}")
        return datalist


def require_told_apart(convention: Convention, regions: Sequence[str], remedy: str) -> None:
    """
    Raises:
        BrainMRIError: when the gross tumour volume is asked for among the regions of gliomas, or they of labels that
            have it alone: in a portable label map it has the value of the necrosis.
    """
    alone = "GTV" in convention.regions
    if alone != ("GTV" in regions) or (alone and len(regions) > 1):
        raise BrainMRIError(
            f"the regions {', '.join(regions)} are not those of these labels, which are by {convention} and have "
            f"{', '.join(convention.regions)}.\n{remedy}"
        )


def _tell_what_labels_lack(found: CaseSet, regions: list[str]) -> None:
    without = [case.id for case in found.cases if not case.label]
    if without:
        print(f"left out, without a label map: {len(without)} of {len(found.cases)} cases, such as {without[0]}")
    never = [name for name in regions if name not in found.convention.regions]
    if never:
        print(
            f"note: these labels have none for {', '.join(never)}, which is learnt to be nowhere; "
            f"the set has {', '.join(found.convention.regions)}, see --regions"
        )


def prepare(found: CaseSet, cases: list[Case], store: ArrayStore, spacing: float) -> tuple[list[Case], list[Problem]]:
    """Put all cases into the store, several at once; what is broken is left out.

    Returns:
        The cases that can be used, and what was wrong with the others.

    Raises:
        BrainMRIError: when none can be used.
        WriteError: when the store cannot be written.
    """
    bar = progress_bar(len(cases), "preparing cases", "cases")

    def prepare_one(case: Case) -> Problem | None:
        try:
            load_case(store, case, found.convention, spacing)
        except WriteError:  # what is prepared stays, and the same command goes on from there
            raise
        except BrainMRIError as error:
            what, *remedy = str(error).splitlines()
            return Problem("error", case.id, what, " ".join(remedy), case.patient)
        finally:
            bar.update()
        return None

    with ThreadPoolExecutor(max_workers=min(cores(), 8)) as pool:  # each holds a case in memory
        outcomes = list(pool.map(prepare_one, cases))
    bar.close()
    broken = [problem for problem in outcomes if problem]
    usable = [case for case, problem in zip(cases, outcomes, strict=True) if problem is None]
    if not usable:
        first = broken[0]
        raise BrainMRIError(f"none of the cases can be used; the first reason:\n{first.where}: {first.what}")
    return usable, [*(problem for problem in found.problems if problem.severity == "error"), *broken]
