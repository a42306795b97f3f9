"""The picture of a tumour: outlines where the label is, the right way round."""

import matplotlib.image
import numpy as np
import pytest

from brainmri_monai.report.figures import plot_overlay
from brainmri_monai.report.figures.overlay import OUTLINES, _most_tumour, _slice_of

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (40, 48, 20)


@pytest.fixture
def image() -> np.ndarray:
    """A brain that is darker where the index is low along the first axis: at the patient's right."""
    image = np.zeros((4, *SHAPE))
    image[:, 4:-4, 4:-4] = np.linspace(1, 2, SHAPE[0] - 8)[:, None, None]
    return image


@pytest.fixture
def label() -> np.ndarray:
    """Tumour and a cavity at the patient's right and in front, most of them in slice 12."""
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[8:18, 8:18, 10:14] = 2
    label[10:16, 10:16, 11:14] = 1
    label[12:15, 12:15, 12] = 3
    label[20, 20, 12] = 2
    label[15:18, 15:18, 12] = 4
    return label


def colour_at(picture: np.ndarray, colour: str) -> np.ndarray:
    """Rows and columns of the pixels of a colour, as shares of the picture."""
    wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    close = np.abs(picture[..., :3] - wanted).max(axis=-1) < 0.05
    return np.argwhere(close) / close.shape


def test_outlines_lie_in_front_and_at_the_right_of_the_patient(image, label, tmp_path):
    plot_overlay(image, LPS, label, LPS, tmp_path / "overlay.png", "case: WT 0.4 ml")
    picture = matplotlib.image.imread(tmp_path / "overlay.png")
    for _, colour in OUTLINES.values():
        at = colour_at(picture, colour)
        at = at[at[:, 0] < 0.9]  # above the legend
        assert len(at) > 20
        assert at[:, 0].max() < 0.5  # the front is up
        for half in (0, 0.5):  # FLAIR and T1c
            inside = at[(at[:, 1] >= half) & (at[:, 1] < half + 0.5)]
            assert len(inside)
            assert inside[:, 1].max() < half + 0.28  # the patient's right is left


def test_a_missing_modality_has_no_outlines(image, label, tmp_path):
    image[:2] = 0  # T1 after contrast, and T1
    plot_overlay(image, LPS, label, LPS, tmp_path / "overlay.png", "case: WT 0.4 ml")
    at = colour_at(matplotlib.image.imread(tmp_path / "overlay.png"), OUTLINES["whole tumour"][1])
    at = at[at[:, 0] < 0.9]
    assert len(at) > 20
    assert at[:, 1].max() < 0.5


def test_a_cavity_is_outlined_and_named_where_there_is_one(image, label, tmp_path):
    _, colour = OUTLINES["resection cavity"]
    for there in (True, False):
        label[label == 4] *= there
        plot_overlay(image, LPS, label, LPS, tmp_path / "overlay.png", "case")
        at = colour_at(matplotlib.image.imread(tmp_path / "overlay.png"), colour)[:, 0]
        assert ((at < 0.9).any(), (at > 0.9).any()) == (there, there)  # the outline, and the line of the legend


def test_slice_with_most_tumour_is_found_on_any_grid(image, label):
    assert _most_tumour(label, np.eye(4), image) == 12
    turned = np.transpose(label, (2, 0, 1))[::-1]  # depth first, from the top
    affine = np.zeros((4, 4))
    affine[0, 1], affine[1, 2], affine[2, 0], affine[2, 3], affine[3, 3] = -1, -1, -1, SHAPE[2] - 1, 1
    across = np.linalg.solve(LPS, affine)
    assert _most_tumour(turned, across, image) == 12
    found = _slice_of(turned, np.linalg.inv(across), SHAPE, 12)
    np.testing.assert_array_equal(found, label[..., 12])


def test_case_without_tumour_shows_the_slice_with_most_brain(image, tmp_path):
    image[..., :15] = 0
    image[:, 4:20, :, 16:] = 0
    assert _most_tumour(np.zeros(SHAPE, np.uint8), np.eye(4), image) == 15
    plot_overlay(image, LPS, np.zeros(SHAPE, np.uint8), LPS, tmp_path / "overlay.png", "$case$")
    assert (tmp_path / "overlay.png").stat().st_size > 1000
