"""Slices without labels, one after the other, and what an inference leaves behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch.utils.data import IterableDataset

from brainmri_monai.data.dicom import is_dicom
from brainmri_monai.data.images import SLICE_SUFFIXES, is_picture, require_portable
from brainmri_monai.data.nifti import is_nifti
from brainmri_monai.data.patients import list_folder, printable, relative
from brainmri_monai.data.slices.folders import NOT_UTF8, OTHER_PICTURES, SAVE_AS
from brainmri_monai.data.stack import ImageError
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.slices.prediction import SliceAnswer, members
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.slice_table import to_slice_table
from brainmri_monai.metrics.table import write_table
from brainmri_monai.networks.slice_classifier import DECISIONS, SliceClassifier
from brainmri_monai.transforms.pictures import read_one

__all__ = ["SavePortableSlices", "SaveSlices", "SliceStream", "in_words"]


class SliceStream(IterableDataset):
    """Slices to classify, one after the other; one that fails is kept aside with its reason, and the others go on.

    Args:
        dataset_dir: a folder; all pictures and volumes of one slice in it are taken, also those in folders below, but
            for runs and the figures of an inference.
        image: one file instead: a picture, or a volume of one slice.
        transform: applied to each sample, ``id`` and ``image``, a path.
        portable: the transform reads with MONAI's own reader: look at the files before.

    Raises:
        BrainMRIError: when both are given, or neither, or there is no picture.
    """

    def __init__(self, dataset_dir: str | Path, image: str | Path, transform: Any, portable: bool = False) -> None:
        if bool(str(dataset_dir)) == bool(str(image)):
            found = "both" if str(image) else "neither"
            raise BrainMRIError(
                f"expected --image FILE or --dataset_dir DIR, found {found}: nothing to predict.\n"
                "Give one slice with --image, or a folder of slices with --dataset_dir."
            )
        self.files = _one(Path(image)) if str(image) else _all(Path(dataset_dir))
        self.transform = transform
        self.portable = portable
        self.failed: dict[str, str] = {}
        for name, file in list(self.files.items()):
            if name != printable(name):
                self.failed[printable(name)] = ". ".join(NOT_UTF8)
                del self.files[name]
            elif file.suffix.lower() in OTHER_PICTURES:
                self.failed[name] = f"{file.suffix!r} is not a kind of picture that is read. {SAVE_AS}"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for name, file in self.files.items():
            if name in self.failed:
                continue
            try:
                if self.portable:
                    _require_portable(file)
                yield self.transform({"id": name, "image": str(file)})
            except Exception as error:  # whatever a reader or a transform raises, the next slice is another file
                self.failed[name] = reason(error)


class SaveSlices:
    """Write ``predictions.csv`` from what :class:`~brainmri_monai.engines.slices.prediction.SlicePrediction` says.

    Args:
        folder: where to.
        classes: names of the T classes.
        cases: the slices; it keeps those that failed.
        network: that answers, or the networks of an ensemble.
    """

    def __init__(
        self,
        folder: str | Path,
        classes: Sequence[str],
        cases: SliceStream,
        network: SliceClassifier | Sequence[SliceClassifier],
    ) -> None:
        self.folder = Path(folder)
        self.classes = list(classes)
        self.cases = cases
        self.networks = members(network)
        self.answers: list[SliceAnswer] = []

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        self.answers += engine.state.output

    def finish(self) -> None:
        """Write the table and say what failed.

        Raises:
            SystemExit: with code 1, when a slice failed; the results of the others are written.
        """
        path = self.folder / "predictions.csv"
        path.unlink(missing_ok=True)  # so that no earlier answer stands in the place of this one's
        if self.answers:
            table = to_slice_table(
                [answer.id for answer in self.answers],
                np.stack([answer.probabilities for answer in self.answers]),
                self.classes,
                [answer.decision for answer in self.answers],
                [answer.distance for answer in self.answers],
            )
            write_table(table, path)
            for row in table.itertuples():
                print(f"{row.id}: {in_words(row.pred, row.confidence, row.decision)}")
            print(f"{len(table)} predicted: {path}")
            if not any(network.is_calibrated for network in self.networks):
                print("note: these weights were not evaluated yet: every slice is answered, and how sure is not fitted")
            elif uncalibrated := sum(not network.is_calibrated for network in self.networks):
                print(f"note: {uncalibrated} of {len(self.networks)} networks were not evaluated yet: they never doubt")
        for name, why in self.cases.failed.items():
            print(f"failed: {name}: {why}", file=sys.stderr)
        if self.cases.failed:
            print(f"{len(self.cases.failed)} failed, {len(self.answers)} predicted", file=sys.stderr)
            raise SystemExit(1)


def in_words(best: str, confidence: float, decision: str) -> str:
    """An answer as people read it.

    Args:
        best: the likeliest class.
        confidence: its probability.
        decision: one of ``DECISIONS``.
    """
    answer = f"{best} ({confidence:.3f})"
    return {"answered": answer, "uncertain": f"uncertain, most likely {answer}", "not_brain_mri": "not a brain MRI"}[
        decision
    ]


class SavePortableSlices(SaveSlices):
    """The same from the portable pipeline, whose postprocessing gives ``probabilities``, T."""

    def __call__(self, engine: Engine) -> None:
        samples, outputs = engine.state.batch, engine.state.output  # decollated
        (network,) = self.networks
        with torch.inference_mode():
            images = torch.stack([sample["image"] for sample in samples]).to(engine.state.device)
            log_p = torch.stack([output["probabilities"] for output in outputs]).log()
            distances = network.detector(network.detector.describe(images))
            decisions = network.decision(log_p, distances)
        rows = zip(samples, log_p.double().cpu().numpy(), decisions.tolist(), distances.tolist(), strict=True)
        for sample, own, decision, distance in rows:
            self.answers.append(SliceAnswer(sample["id"], own, DECISIONS[decision], distance))


def _require_portable(file: Path) -> None:
    """Refuse what MONAI's reader of pictures fails on with traces, or reads otherwise than ours."""
    read_one(file)
    if not is_picture(file):
        raise ImageError(
            file, "MONAI's own reader takes pictures alone", "Leave out --portable, or add configs/fast.json."
        )
    require_portable([file])


def _one(file: Path) -> dict[str, Path]:
    if file.is_dir():
        raise BrainMRIError(f"expected one slice, found a folder\n{file}\nGive it with --dataset_dir, or a file in it.")
    return {file.name: file}


def _all(root: Path) -> dict[str, Path]:
    root = root.resolve()
    if root.is_file():
        return _one(root)
    found = {relative(file, root): file for file in _below(root)}
    if not found:
        raise BrainMRIError(
            f"expected pictures ({', '.join(SLICE_SUFFIXES)}), NIfTI or DICOM files, found none\n{root}\n"
            "Give a folder that holds slices, or one slice with --image."
        )
    return found


def _below(folder: Path) -> Iterator[Path]:
    for entry in list_folder(folder):
        if entry.is_dir() and _is_ours(entry):
            continue
        if entry.is_dir():
            within = list(_below(entry))
            yield from within or ([entry] if is_picture(entry) else [])  # its name promises one: it will be told
        elif is_picture(entry) or entry.suffix.lower() in OTHER_PICTURES or is_nifti(entry) or _is_dicom(entry):
            yield entry


def _is_ours(folder: Path) -> bool:
    """Whether a folder is of a run, or holds the figures of an inference, which are no slices."""
    figures = folder.name == "explained" and (folder.parent / "predictions.csv").exists()
    return figures or (folder / "run.json").exists()


def _is_dicom(file: Path) -> bool:
    return file.name.upper() != "DICOMDIR" and is_dicom(file)  # the index of a medium holds no picture
