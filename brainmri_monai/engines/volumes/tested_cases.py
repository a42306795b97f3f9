"""The BraTS cases of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from brainmri_monai.data.brats.cases import Case, find_volumes
from brainmri_monai.data.brats.conventions import find_convention
from brainmri_monai.data.brats.datalist import CaseList, case_entry
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.patients import Problem, relative
from brainmri_monai.engines.distributed import is_main_process, main_process_first
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.engines.volumes.cases import require_told_apart
from brainmri_monai.errors import BrainMRIError

__all__ = ["tested_cases"]


def tested_cases(run: RunFolder, dataset_dir: str | Path, convention: str | None, allow_missing: bool) -> CaseList:
    """The run's own cases, or all labelled cases of another data set as an external test.

    Args:
        run: the folder of the finished run.
        dataset_dir: empty, or where the run's own data lie now, or another BraTS data set.
        convention: of the labels of another data set; found out when left out.
        allow_missing: keep cases of another data set that lack a modality.

    Returns:
        The run's datalist; with another data set its cases are the ``test`` part and the ``root`` is theirs.

    Raises:
        BrainMRIError: when the run's own data have changed or another convention is given for them, or another data
            set has no labels or holds a patient or an image that the run was trained on.
    """
    run.require_same_input()
    datalist = CaseList.load(run.trained_on)
    with main_process_first():
        if not str(dataset_dir):
            if not _is_unchanged(datalist):
                raise BrainMRIError(
                    f"the data in {datalist.root} are not those that the run was made with (digest "
                    f"{datalist.digest}).\n"
                    "Bring them back, or say with --dataset_dir where they lie now."
                )
            _require_as_trained(convention, datalist)
            return datalist
        moved = replace(datalist, root=Path(dataset_dir).resolve())
        own = _is_unchanged(moved)
        found = find_volumes(dataset_dir, convention or (datalist.layout if own else None), allow_missing)
        labelled = [case for case in found.cases if case.label]
        known = {e["id"] for e in datalist.entries} | {e["where"] for e in datalist.excluded}
        if own and all(case.id in known for case in labelled):
            _require_as_trained(convention, datalist)
            return moved
        if not labelled or found.convention is None:
            raise BrainMRIError(
                f"none of the {len(found.cases)} cases has a label map to score against.\n{found.root}\n"
                "Give cases with label maps; to predict these, run the inference."
            )
        remedy = "Give cases that are labelled by these regions, or test a run that was trained on theirs."
        require_told_apart(found.convention, datalist.types, remedy)
        looked = list(on_all_cores(lambda case: _entry(case, found.root), labelled))
        entries = [entry for entry in looked if isinstance(entry, dict)]
        problems = [problem for problem in found.problems if problem.severity == "error"]
        problems += [problem for problem in looked if isinstance(problem, Problem)]
        problems += [
            Problem("error", case.id, "it has no label map", "Add it, or leave the case out.", case.patient)
            for case in found.cases
            if not case.label
        ]
        external = run.external(datalist, found.root, found.convention.name, entries, problems)
        if is_main_process():
            print(f"external test: {found.root}, {len(entries)} cases; labels: {found.convention}")
            for problem in problems:
                print(f"left out: {problem.where}: {problem.what}. {problem.remedy}")
        return external


def _require_as_trained(convention: str | None, datalist: CaseList) -> None:
    if convention and find_convention(convention).name != datalist.layout:
        raise BrainMRIError(
            f"the labels of this run are by {datalist.layout}, not {convention}.\n"
            "Leave --convention out: it is for other data."
        )


def _entry(case: Case, root: Path) -> dict[str, Any] | Problem:
    try:
        return case_entry(case, root)
    except OSError as error:
        what = f"{relative(error.filename, root)} cannot be read: {error.strerror}"
        return Problem("error", case.id, what, "Bring the file back, or remove the case.", case.patient)


def _is_unchanged(datalist: CaseList) -> bool:
    """Whether the files that an evaluation reads are there, with the bytes that they had."""
    entries = datalist.parts["validation"] + datalist.parts["test"]
    cases: list[Case] = [datalist.case(e) for e in entries]
    if not all(file.exists() for case in cases for file in [*case.files, *filter(None, [case.label])]):
        return False
    now = on_all_cores(lambda case: case_entry(case, datalist.root)["digests"], cases)
    return all(digests == e["digests"] for digests, e in zip(now, entries, strict=True))
