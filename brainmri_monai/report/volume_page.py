"""Files of a run on volumes → one page that opens anywhere, offline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainmri_monai.data.splits import PARTS
from brainmri_monai.files import write_text
from brainmri_monai.report.embed import Picture, embed
from brainmri_monai.report.reading import RunFiles, read_run
from brainmri_monai.report.rendering import interval, render

__all__ = ["case_path", "write_volume_report"]

SCORES = {
    "dice": ("Dice", 2),
    "hd95": ("HD95 (mm)", 1),
    "sensitivity": ("Sensitivity", 2),
    "specificity": ("Specificity", 4),
}
LESIONWISE = {"lesionwise_dice": ("Lesion-wise Dice", 2), "lesionwise_hd95": ("Lesion-wise HD95 (mm)", 1)}
LESIONWISE |= {"lesionwise_f1": ("Lesion-wise F1", 2), "lesions_found": ("Lesions found, a case", 1)}
LESIONWISE |= {"lesions_missed": ("Lesions missed, a case", 1), "lesions_spurious": ("Spurious lesions, a case", 1)}
REGION_NAMES = {
    "TC": "tumour core",
    "WT": "whole tumour",
    "ET": "enhancing tumour",
    "RC": "resection cavity",
    "GTV": "gross tumour volume",
}


def case_path(folder: Path, case: str) -> Path:
    """Where the figure of a case lies."""
    return folder / "figures" / "cases" / f"{case}.png"


def write_volume_report(output_dir: str | Path, *, case_figures: int = 60) -> Path:
    """Write ``report.html`` into the folder of a run on volumes or of a cross-validation, from the files there.

    The page holds its pictures and loads nothing. What the run has not made yet is left out with a sentence.

    Args:
        output_dir: the folder with ``run.json``, or with ``metrics_crossval.json`` and ``fold0``.
        case_figures: how many figures of cases the page holds, the worst cases first.

    Returns:
        The path of the page.

    Raises:
        BrainMRIError: when there is no run, a file is not readable, or the page cannot be written.
    """
    files = read_run(output_dir)
    regions = (files.metrics or {}).get("regions", [])
    page = render(
        "volumes.html.j2",
        files=files,
        run=files.run,
        metrics=files.metrics,
        regions=regions,
        REGION_NAMES=REGION_NAMES,
        rows=_rows(files.metrics),
        figures=_figures(files),
        split=_split_tables(files.datalist),
        cases=_cases(files, regions, case_figures),
    )
    path = files.folder / "report.html"
    write_text(path, page)
    return path


def _rows(metrics: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The summary: a row for each score with its name, the digits that matter and what ``metrics_test.json`` says."""
    if not metrics:
        return []
    of_region = metrics["scores"]
    keys = dict(SCORES)
    versions = [key.rpartition("_")[2] for key in next(iter(of_region.values())) if key.startswith("lesionwise_dice_b")]
    for version in versions:
        keys |= {f"{name}_{version}": (f"{title}, {version}", digits) for name, (title, digits) in LESIONWISE.items()}
    there = [key for key in keys if any(key in scores for scores in of_region.values())]
    return [
        {
            "name": keys[key][0],
            "digits": keys[key][1],
            "regions": {region: scores.get(key) for region, scores in of_region.items()},
        }
        for key in there
    ]


def _figures(files: RunFiles) -> dict[str, Picture]:
    """The diagrams in ``figures``, by name without suffix."""
    texts = {
        "history": "Loss and Dice of the validation over the epochs",
        "boxes": "Boxes of Dice and HD95 over the cases, by region",
        "volumes": "Predicted against true volume of each case, by region",
        "reliability": "Share of voxels in a region against their probability, and the voxels of each bin",
    }
    for region, scores in (files.metrics or {}).get("scores", {}).items():
        texts["boxes"] += f"; {region} mean Dice {interval(scores['dice']['mean'])}"
    paths = {name: files.folder / "figures" / f"{name}.png" for name in texts}
    return {name: embed(path, texts[name]) for name, path in paths.items() if path.exists()}


def _split_tables(datalist: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A table by grade, and one by site where that is known: rows with (cases, patients) of each part, totals last."""
    tables = []
    for key in ("grade", "site"):
        strata: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        for part in PARTS if datalist else ():
            for item in datalist.get(part, []):
                for stratum in (item.get(key) or "unknown", "Total"):
                    strata[stratum][part].append(item)
        if key == "site" and strata.keys() <= {"unknown", "Total"}:
            continue
        ordered = sorted(strata, key=lambda name: (name == "Total", name == "unknown", name))
        rows = [{"name": name, **{part: _sizes(strata[name][part]) for part in PARTS}} for name in ordered]
        tables.append({"name": key.capitalize(), "rows": rows})
    return tables


def _sizes(items: list[dict[str, Any]]) -> tuple[int, int]:
    return len(items), len({item["patient"] for item in items})


def _cases(files: RunFiles, regions: list[str], case_figures: int) -> list[dict[str, Any]]:
    """A mapping for each row of the predictions, the worst mean Dice first."""
    cases = []
    for row in files.predictions:
        numbers = {name: _float(text) for name, text in row.items()}
        of_region = {
            region: {name.removesuffix(end): value for name, value in numbers.items() if name.endswith(end)}
            for region, end in ((region, f"_{region.lower()}") for region in regions)
        }
        cases.append({"id": row["id"], "row": row, "dice": numbers["dice_mean"], "regions": of_region})
    cases.sort(key=lambda case: case["dice"])
    for number, case in enumerate(cases):
        case["number"] = number  # for links inside the page
        fold = case["row"].get("fold")
        path = case_path(files.folder / f"fold{fold}" if fold else files.folder, case["id"])
        if number < case_figures and path.exists():
            alt = f"Slices through the largest lesion of {case['id']} with the outlines of truth and prediction"
            case["picture"] = embed(path, alt, photo=True)
    return cases


def _float(text: str | None) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
