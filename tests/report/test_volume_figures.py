"""Figures of volumes: drawn for odd cases, too, and the right way round."""

import numpy as np
import pytest
from PIL import Image

from brainmri_monai.report.figures import plot_agreement, plot_boxes, plot_case_slices, plot_region_reliability
from brainmri_monai.report.figures.case_slices import BELOW, PREDICTION, TRUTH, _cut, _largest_lesion
from brainmri_monai.report.volumes import _to_lps

REGIONS = ("WT", "TC", "ET")


def brain() -> dict[str, np.ndarray]:
    volume = np.zeros((20, 24, 18))
    volume[2:18, 2:22, 2:16] = np.random.default_rng(0).uniform(50, 100, (16, 20, 14))
    return {"flair": volume, "t1c": volume}


def masks(*boxes: tuple[slice, ...]) -> dict[str, np.ndarray]:
    mask = np.zeros((20, 24, 18), dtype=bool)
    for box in boxes:
        mask[box] = True
    return dict.fromkeys(REGIONS, mask)


def colours_of(path) -> set[tuple[int, ...]]:
    """Above the legend, which has both."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
        legend = int(BELOW * image.info["dpi"][1]) + 1
    return {tuple(pixel) for pixel in pixels[:-legend].reshape(-1, 3)}


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[n : n + 2], 16) for n in (1, 3, 5))


LESION = (slice(6, 10), slice(8, 13), slice(5, 9))
MOVED = (slice(8, 12), slice(8, 13), slice(5, 9))


@pytest.mark.parametrize("true", [(LESION,), ()])
@pytest.mark.parametrize("found", [(MOVED,), ()])
def test_outlines_are_drawn_where_there_is_something(tmp_path, true, found):
    path = tmp_path / "case.png"
    plot_case_slices(brain(), masks(*true), masks(*found), (1.0, 1.0, 2.0), path, "a case with $ and 脑")
    colours = colours_of(path)
    assert (rgb(TRUTH) in colours) == bool(true)
    assert (rgb(PREDICTION) in colours) == bool(found)


def test_another_modality_is_shown_for_a_missing_one(tmp_path):
    images = brain() | {"flair": np.zeros((20, 24, 18))}
    names = ("WT", "TC", "ET")
    truth = masks(LESION)
    plot_case_slices(images, truth, truth, (1.0, 1.0, 2.0), tmp_path / "lost.png", "a case")
    plot_case_slices(brain(), truth, truth, (1.0, 1.0, 2.0), tmp_path / "whole.png", "a case")
    lost, whole = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("lost.png", "whole.png"))
    assert lost.shape == whole.shape
    first = slice(len(lost) // 8, len(lost) // len(names))  # the row of WT
    assert abs(lost[first].mean() - whole[first].mean()) < 0.2 * whole[first].mean()


def test_slices_go_through_the_largest_lesion():
    small = (slice(15, 17), slice(18, 20), slice(12, 14))
    assert all(6 <= one < 10 for one in _largest_lesion(masks(LESION, small), masks(small), brain())[:1])
    assert 15 <= _largest_lesion(masks(), masks(small), brain())[0] < 17
    assert 2 <= _largest_lesion(masks(), masks(), brain())[2] < 16


def test_pictures_are_radiological():
    volume = np.zeros((4, 5, 6))  # toward left, posterior, superior
    volume[0, 1, 2] = 1
    whole, place = (slice(None),) * 3, (0, 1, 2)
    assert np.argwhere(_cut(volume, "axial", place, whole)).tolist() == [[1, 0]]
    assert np.argwhere(_cut(volume, "coronal", place, whole)).tolist() == [[3, 0]]  # superior is at the top
    assert np.argwhere(_cut(volume, "sagittal", place, whole)).tolist() == [[3, 1]]


def test_any_orientation_is_turned_to_lps():
    affine = np.zeros((4, 4))  # axes toward superior, right, anterior
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = 3.0, 1.0, 2.0, 1.0
    turned, spacing = _to_lps(affine)
    volume = np.zeros((4, 5, 6))
    volume[1, 0, 0] = 1
    assert spacing == [1.0, 2.0, 3.0]
    assert np.argwhere(turned(volume)).tolist() == [[4, 5, 1]]


def test_diagrams_are_drawn_of_few_and_odd_numbers(tmp_path):
    plot_boxes({"Dice": {"WT": [0.5], "ET": []}, "HD95 (mm)": {"WT": [np.nan]}}, tmp_path / "boxes.png")
    plot_agreement({"WT": (np.zeros(0), np.zeros(0)), "ET": (np.zeros(2), np.zeros(2))}, tmp_path / "volumes.png")
    empty = {"voxels": 0, "probability": None, "share": None}
    full = {"voxels": 5, "probability": 0.95, "share": 1.0}
    plot_region_reliability(
        {"WT": [empty] * 9 + [full], "ET": [empty] * 10}, {"WT": 0.05, "ET": None}, tmp_path / "r.png"
    )
    for name in ("boxes", "volumes", "r"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 10, "axes and their words at least"
