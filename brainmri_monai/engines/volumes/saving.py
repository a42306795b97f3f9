"""What an inference in 3D writes for each case, and for all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.labels import from_portable
from brainmri_monai.engines.volumes.prediction import Segmentation, confidence, volumes_ml
from brainmri_monai.engines.volumes.stream import VolumeStream, missing_modalities
from brainmri_monai.files import replacing
from brainmri_monai.metrics.table import write_table
from brainmri_monai.transforms.volumes import REGIONS

__all__ = ["SaveVolumes", "write_like"]

SEGMENTATION, ENTROPY, PICTURE = "_seg.nii.gz", "_entropy.nii.gz", "_overlay.png"


class SaveVolumes:
    """Write ``<case>/<case>_seg.nii.gz``, a picture of it, and, at the end, ``predictions.csv``.

    The label map lies on the grid of the input files, with their affine. Its values are those of the data set's
    convention where that is known and has one for each region; else 1 NCR, 2 ED, 3 ET, 4 RC.

    Args:
        cases: the cases; what they know of finished ones is taken over, and those that failed are told.
        regions: that the network finds.
        label_values: ``auto``, or ``portable`` for 1 NCR, 2 ED, 3 ET in any case.
        draw: image 4 h w d and its affine, label map H W D and its affine, file, title → a picture; None for none.
    """

    def __init__(
        self,
        cases: VolumeStream,
        regions: list[str],
        label_values: str = "auto",
        draw: Callable[..., None] | None = None,
    ) -> None:
        self.cases = cases
        self.regions = regions
        self.convention = cases.found.convention if label_values == "auto" else None
        self.unknown = [name for name in regions if self.convention and name not in self.convention.regions]
        if self.unknown:
            self.convention = None
        cases.label_convention = self.convention.name if self.convention else "portable"
        self.draw = draw
        self.answers: dict[str, dict[str, Any]] = {}  # id → row of the table
        self._say_convention(label_values)

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        for sample, output in zip(engine.state.batch, engine.state.output, strict=False):  # none, when it failed
            answer = output if isinstance(output, Segmentation) else _portable(sample, output, self.regions)
            self.save(answer)

    def save(self, answer: Segmentation) -> None:
        """Write the files of one case.

        Raises:
            BrainMRIError: when they cannot be written; none is left half written.
        """
        case, results = self.cases.cases[answer.id], self.cases.results
        results.clear(case)
        for suffix in (ENTROPY, PICTURE):  # of an earlier answer, if they are not written again
            results.path(case, suffix).unlink(missing_ok=True)
        label = from_portable(answer.label, self.convention) if self.convention else answer.label
        write_like(case, label, results.path(case, SEGMENTATION))
        files = [SEGMENTATION]
        if answer.entropy is not None:
            write_like(case, answer.entropy, results.path(case, ENTROPY))
            files.append(ENTROPY)
        row = self._row(answer)
        if self.draw is not None:
            title = f"{answer.id}: " + ", ".join(f"{name} {row[f'{name.lower()}_ml']:.1f} ml" for name in self.regions)
            image = answer.image
            self.draw(
                image.numpy(), image.affine.numpy(), answer.label, answer.affine, results.path(case, PICTURE), title
            )
            files.append(PICTURE)
        row["seconds"] = round(time.perf_counter() - self.cases.started[answer.id], 3)
        results.write(case, self.cases.label_convention, files, row)
        self.answers[answer.id] = row
        print(f"{answer.id}: {_summary(row)} ({row['seconds']:.1f} s)", flush=True)

    def finish(self) -> None:
        """Write the table and say what failed.

        Raises:
            SystemExit: with code 1, when a case failed; the results of the others are written.
        """
        import pandas as pd

        answers = self.cases.finished | self.answers
        rows = [answers[name] for name in self.cases.cases if name in answers]  # in the order of the cases
        path = self.cases.results.folder / "predictions.csv"
        path.unlink(missing_ok=True)
        if rows:
            write_table(pd.DataFrame(rows), path)
        before = f", {len(self.cases.finished)} of them before" if self.cases.finished else ""
        print(f"{len(rows)} segmented{before}: {path if rows else self.cases.results.folder}")
        for case, reason in self.cases.failed.items():
            print(f"failed: {case}: {reason}", file=sys.stderr)
        if self.cases.failed:
            print(f"{len(self.cases.failed)} failed, {len(rows)} segmented", file=sys.stderr)
            raise SystemExit(1)

    def _row(self, answer: Segmentation) -> dict[str, Any]:
        millilitres = volumes_ml(answer.label, answer.affine)
        found = [name for name in self.regions if millilitres[name] > 0]
        row = {"id": answer.id, "pred": "+".join(found) or "none", "confidence": answer.confidence}
        row["decision"] = "answered"  # this network has no way to decline
        row |= {f"{name.lower()}_ml": millilitres[name] for name in self.regions}
        for name, (low, high) in answer.intervals.items():
            row |= {f"{name.lower()}_ml_low": low, f"{name.lower()}_ml_high": high}
        missing = "+".join(missing_modalities(self.cases.cases[answer.id], self.cases.modalities)) or "none"
        return row | {"missing": missing, "convention": self.cases.label_convention}

    def _say_convention(self, asked: str) -> None:
        if self.convention:
            print(f"label values: those of {self.convention}")
        elif self.unknown:
            found = self.cases.found.convention
            print(f"label values: 1 NCR, 2 ED, 3 ET, 4 RC, since {found} has none for {', '.join(self.unknown)}")
        else:
            doubts = [p.what for p in self.cases.found.problems if p.where == "."] if asked == "auto" else []
            why = f", since {doubts[0]}; name the convention with --convention" if doubts else ""
            print(f"label values: 1 NCR, 2 ED, 3 ET{why}")


def _portable(sample: dict[str, Any], output: dict[str, Any], regions: list[str]) -> Segmentation:
    """What the portable pipeline gives, whose postprocessing leaves ``pred`` and ``probability``."""
    label = output["pred"]
    return Segmentation(
        id=sample["id"],
        label=label[0].cpu().numpy().astype(np.uint8),
        affine=label.affine.cpu().numpy(),
        image=sample["image"].cpu(),
        confidence=confidence(output["probability"], regions, found=bool(label.any())),
    )


def write_like(case: Case, volume: NDArray, path: Path) -> None:
    """Write a volume H W D with the affine and header of the case's first file, atomically."""
    import nibabel as nib

    reference = nib.load(case.files[0])
    header = reference.header.copy()
    header.set_data_dtype(volume.dtype)
    header["cal_min"] = header["cal_max"] = 0  # the brightness of the images
    with replacing(path) as temporary:
        nib.save(type(reference)(volume, reference.affine, header), temporary)


def _summary(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {row[f'{name.lower()}_ml']:.1f} ml" for name in REGIONS if f"{name.lower()}_ml" in row)
