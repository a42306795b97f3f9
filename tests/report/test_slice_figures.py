"""Figures of the slice classifier: they show what they were given, and nothing that a run can hold breaks them."""

import numpy as np
import pytest
from PIL import Image

from brainmri_monai.report.figures import Mistake, plot_filters, plot_grad_cam, plot_mistakes, plot_risk_coverage
from brainmri_monai.report.figures.explanation_checks import plot_explanation_checks
from brainmri_monai.report.figures.heat import blend, heat


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def image() -> np.ndarray:
    return np.linspace(0, 1, 64 * 48).reshape(64, 48)


def one_spot(side: int = 4) -> np.ndarray:
    spot = np.zeros((side, side), dtype=np.float32)
    spot[1, 1] = 1
    return spot


def mistake(number: int, confidence: float, **changed) -> Mistake:
    image = np.full((32, 40), number / 30)
    return Mistake(**({"id": f"a/{number}.jpg", "image": image, "heat": one_spot(), "said": "glioma",
                       "truth": "pituitary", "confidence": confidence} | changed))  # fmt: skip


def test_the_slice_is_seen_where_the_map_is_0(image):
    np.testing.assert_allclose(blend(image, np.zeros((4, 4))), image[..., None].repeat(3, axis=2))
    mixed = blend(image, one_spot())
    assert np.abs(mixed[16:32, 12:24] - image[16:32, 12:24, None]).max() > 0.3
    np.testing.assert_allclose(mixed[-8:, -8:], image[-8:, -8:, None].repeat(3, axis=2), atol=0.02)


def test_more_is_brighter():
    brightness = heat(np.linspace(0, 1, 20)[None]) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness[0]) > 0).all()


def test_panel_has_a_place_for_each_layer(image, tmp_path):
    sizes = []
    for layers in (4, 6, 7, 20, 60, 120):
        maps = {f"conv{n}": one_spot(3 + n % 20) for n in range(layers)}
        plot_grad_cam(image, maps, tmp_path / "cam.png", "slice: glioma, 0.98")
        sizes.append(pixels(tmp_path / "cam.png").shape[:2])
    heights, widths = zip(*sizes, strict=True)
    assert widths[0] < widths[1] == widths[2] == widths[5]  # six beside the slice
    assert heights[1] < heights[2] < heights[3] < heights[4] == heights[5]  # 27 layers of many


def test_panel_has_a_place_for_the_rollout(image, tmp_path):
    maps = {f"conv{n}": one_spot(3) for n in range(4)}
    widths = []
    for name, rollout in (("without", None), ("with", one_spot(8)), ("alike", np.zeros((8, 8)))):
        plot_grad_cam(image, maps, tmp_path / f"{name}.png", "slice: glioma, 0.98", rollout=rollout)
        widths.append(pixels(tmp_path / f"{name}.png").shape[1])
    assert widths[0] < widths[1] == widths[2]


def test_panel_of_an_empty_map_and_a_strange_name(image, tmp_path):
    plot_grad_cam(image, {"conv": np.zeros((3, 3))}, tmp_path / "cam.png", "$x_$ naïve 脳 " * 20)
    assert pixels(tmp_path / "cam.png").max() == 255


def test_gallery_grows_with_the_mistakes(tmp_path):
    heights = []
    for count in (0, 1, 3, 4, 12):
        plot_mistakes([mistake(n, n / 30) for n in range(count)], tmp_path / "mistakes.png", "Mistakes")
        heights.append(pixels(tmp_path / "mistakes.png").shape[0])
    assert heights[0] < heights[1] == heights[2] < heights[3] < heights[4]


def test_gallery_begins_with_the_most_confident(tmp_path):
    plot_mistakes([mistake(3, 0.5), mistake(30, 0.9)], tmp_path / "mistakes.png", "Mistakes")
    picture = pixels(tmp_path / "mistakes.png")
    first_slice = picture[150:250, 40:150]
    assert np.median(first_slice) > 240  # the white slice of 0.9, not the dark one of 0.5


def test_gallery_says_what_was_held_back(tmp_path):
    plot_mistakes([mistake(3, 0.5)], tmp_path / "given.png", "Mistakes")
    plot_mistakes([mistake(3, 0.5, decision="uncertain")], tmp_path / "held.png", "Mistakes")
    assert not np.array_equal(pixels(tmp_path / "given.png"), pixels(tmp_path / "held.png"))


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (8, 3, 5, 5), (96, 3, 9, 9), (512, 3, 16, 16)])
def test_filters_of_any_number_and_size(shape, tmp_path):
    plot_filters(np.random.default_rng(0).normal(size=shape), tmp_path / "filters.png", "First convolution")
    assert pixels(tmp_path / "filters.png").ndim == 3


def test_channels_that_cancel_make_an_even_filter(tmp_path):
    weights = np.zeros((2, 2, 3, 3))
    weights[0, 0], weights[0, 1] = 1, -1
    weights[1, 0, :, :2] = 1
    plot_filters(weights, tmp_path / "filters.png", "First convolution")
    values = np.unique(pixels(tmp_path / "filters.png")[-60:])  # the filters, below the title
    assert {127, 128} & set(values.tolist())


@pytest.mark.parametrize(
    ("confidence", "correct"),
    [([], []), ([0.9], [True]), ([0.9], [False]), ([0.5] * 5, [True, False] * 2 + [True]), ([0.9, 0.8], [True] * 2)],
)
def test_risk_and_coverage_of_few_answers(confidence, correct, tmp_path):
    plot_risk_coverage(np.array(confidence), np.array(correct), tmp_path / "risk.png", "Risk", threshold=0.85)
    assert pixels(tmp_path / "risk.png").min() < 100


def test_no_answer_reaches_the_least_confidence(tmp_path):
    plot_risk_coverage(np.array([0.5, 0.6]), np.array([True, False]), tmp_path / "risk.png", "Risk", threshold=0.99)
    assert pixels(tmp_path / "risk.png").min() < 100


def test_checks_of_explanations_with_flat_maps(tmp_path):
    gains = {"conv 1": [1.0, float("nan"), 3.0], "conv 2": [0.0, 12.0, 5.0], "occlusion": [2.0]}
    correlations = [{"head": 0.9, "conv 2": 0.1}, {"head": float("nan"), "conv 2": -0.2}]
    sizes = []
    for more in ([2.0, 3.0], [0.0, 0.0], [float("nan")]):
        plot_explanation_checks(gains | {"conv 3": more}, correlations, tmp_path / "checks.png")
        assert pixels(tmp_path / "checks.png").min() < 100
        sizes.append(pixels(tmp_path / "checks.png").shape)
    assert len(set(sizes)) == 1  # a label beyond the axes makes the figure larger
