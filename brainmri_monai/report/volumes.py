"""Files of a run on volumes → its figures and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.conventions import MODALITIES, Convention
from brainmri_monai.data.brats.datalist import CaseList
from brainmri_monai.data.brats.labels import to_portable
from brainmri_monai.data.brats.volumes import label_voxels, open_volume, read_case, read_label
from brainmri_monai.engines.distributed import is_main_process
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.report.figures import (
    plot_agreement,
    plot_boxes,
    plot_case_slices,
    plot_history,
    plot_region_reliability,
)
from brainmri_monai.report.figures.case_slices import SHOWN
from brainmri_monai.report.reading import RunFiles, is_drawn, read_run
from brainmri_monai.report.volume_page import case_path, write_volume_report
from brainmri_monai.transforms.volumes import region_masks

__all__ = ["report_volumes"]


def report_volumes(folder: str | Path) -> Path | None:
    """Draw what a run on volumes has made so far, and write ``report.html``; a page that shows it already stays.

    Args:
        folder: of the run, or of its external test.

    Returns:
        The path of the page; ``None`` in all processes but the first.
    """
    if not is_main_process():
        return None
    if is_drawn(Path(folder)):
        return Path(folder) / "report.html"
    files = read_run(folder)
    figures = files.folder / "figures"
    if files.history:
        plot_history(files.history, figures / "history.png", best_epoch=files.run.get("best", {}).get("epoch"))
    if files.metrics and files.predictions:
        draw_scores(files, figures)
        draw_cases(files, CaseList.load(files.folder / "datalist.json"))
    page = write_volume_report(files.folder)
    print(f"report: {page}")
    return page


def draw_scores(files: RunFiles, figures: Path) -> None:
    """Boxes of Dice and HD95, predicted against true volumes, and the reliability of the voxels."""
    regions, calibration = files.metrics["regions"], files.metrics["calibration"]

    def column(name: str, region: str) -> NDArray:
        return np.array([float(row[f"{name}_{region.lower()}"] or "nan") for row in files.predictions])

    panels = {"Dice": "dice", "HD95 (mm)": "hd95"}
    scores = {title: {region: column(name, region) for region in regions} for title, name in panels.items()}
    plot_boxes(scores, figures / "boxes.png", roots=["HD95 (mm)"])
    volumes = {region: (column("true_volume_ml", region), column("volume_ml", region)) for region in regions}
    plot_agreement(volumes, figures / "volumes.png")
    errors = {region: calibration["ece"][region]["value"] for region in regions}
    plot_region_reliability(calibration["bins"], errors, figures / "reliability.png")


def draw_cases(files: RunFiles, datalist: CaseList) -> None:
    """A figure for each scored case; one whose files are gone is left out."""
    entries = {e["id"]: e for e in datalist.parts["test"]}
    bar = progress_bar(len(files.predictions), "drawing cases", "cases")
    for row in files.predictions:
        path = case_path(files.folder, row["id"])
        path.unlink(missing_ok=True)
        try:
            case, segmentation = (
                datalist.case(entries[row["id"]]),
                files.folder / "segmentations" / f"{row['id']}.nii.gz",
            )
            plot_case_slices(**_oriented(case, segmentation, datalist), path=path, title=_title(row))
        except BrainMRIError as error:
            print(f"no figure of {row['id']}: {error}")
        bar.update()
    bar.close()


def _title(row: dict[str, str]) -> str:
    return f"{row['id']}: mean Dice {float(row['dice_mean']):.2f}"


def _oriented(case: Case, segmentation: Path, datalist: CaseList) -> dict[str, Any]:
    """What ``plot_case_slices`` takes, from the files of a case, turned to LPS."""
    image, affine = read_case(case)
    regions = [region for region in SHOWN if region in datalist.types]
    found = _label(segmentation, datalist.convention)
    truth = to_portable(read_label(case, datalist.convention), datalist.convention)
    modalities = dict.fromkeys(SHOWN[region] for region in regions)
    turned, spacing = _to_lps(affine)
    return {
        "images": {name: turned(image[MODALITIES.index(name)]) for name in modalities},
        "truth": dict(zip(regions, region_masks(turned(truth), regions), strict=True)),
        "prediction": dict(zip(regions, region_masks(turned(found), regions), strict=True)),
        "spacing": spacing,
    }


def _label(path: Path, convention: Convention) -> NDArray:
    return to_portable(label_voxels(path, open_volume(path), convention)[0], convention)


def _to_lps(affine: NDArray) -> tuple[Any, list[float]]:
    """A function that turns volumes to LPS, and mm along their axes then."""
    from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

    turn = ornt_transform(io_orientation(affine), axcodes2ornt("LPS"))
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    spacing = [float(sides[list(turn[:, 0]).index(axis)]) for axis in range(3)]
    return lambda volume: apply_orientation(volume, turn), spacing
