"""Figures: what they show is right, and nothing that a run can hold breaks them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from brainmri_monai.report.figures import (
    attention_path,
    plot_attention,
    plot_comparison,
    plot_confusion,
    plot_history,
    plot_pr,
    plot_reliability,
    plot_roc,
)
from brainmri_monai.report.figures.curves import pr_curves, roc_curves

CLASSES = ["astrocytoma", "oligoastrocytoma", "oligodendroglioma"]


def answers(n: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels n and probabilities n C that know something of the labels; ties occur."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scores = np.round(random.random((n, classes)) + 0.5 * np.eye(classes)[labels], 1) + 0.1
    return labels, scores / scores.sum(axis=1, keepdims=True)


def size_of(path) -> tuple[int, int]:
    """Width and height of what must be a PNG that is not blank."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(maxcolors=2**24)) > 1
        return image.size


def area_below_steps(curve) -> float:
    return float(np.sum(np.diff(curve.x) * curve.y[1:]))


# --- curves


def test_areas_of_a_case_worked_by_hand():
    # the positives rank first and third of four: three of the four pairs are in order, AUC 3/4;
    # precision is 1 at the first and 2/3 at the second positive, average precision (1 + 2/3) / 2
    labels, positive = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    probabilities = np.stack([1 - positive, positive], axis=1)
    roc = {curve.name: curve for curve in roc_curves(labels, probabilities, ["no", "yes"])}
    pr = {curve.name: curve for curve in pr_curves(labels, probabilities, ["no", "yes"])}
    assert roc["yes"].area == pytest.approx(3 / 4)
    assert pr["yes"].area == pytest.approx(5 / 6)
    assert area_below_steps(pr["yes"]) == pytest.approx(5 / 6)
    assert pr["yes"].baseline == 1 / 2


def test_macro_roc_encloses_the_mean_of_the_classes_areas():
    *of_classes, macro, _ = roc_curves(*answers(60, 3), CLASSES)
    assert macro.area == pytest.approx(np.mean([curve.area for curve in of_classes]))
    assert np.trapezoid(macro.y, macro.x) == pytest.approx(macro.area)


def test_macro_pr_encloses_the_mean_of_the_classes_areas():
    *of_classes, macro, _ = pr_curves(*answers(60, 3), CLASSES)
    assert macro.area == pytest.approx(np.mean([curve.area for curve in of_classes]))
    assert area_below_steps(macro) == pytest.approx(macro.area)


@pytest.mark.parametrize("curves", [roc_curves, pr_curves])
def test_areas_are_those_below_the_lines(curves):
    for curve in curves(*answers(47, 3, seed=2), CLASSES):
        area = np.trapezoid(curve.y, curve.x) if curves is roc_curves else area_below_steps(curve)
        assert area == pytest.approx(curve.area)
        assert np.all(np.diff(curve.x) >= 0)


@pytest.mark.parametrize("curves", [roc_curves, pr_curves])
def test_an_absent_class_has_no_curve_and_changes_no_average(curves):
    labels, probabilities = answers(40, 2)
    wider = np.concatenate([probabilities, np.full((40, 1), 0.3)], axis=1)
    with_absent = {curve.name: curve.area for curve in curves(labels, wider, ["a", "b", "absent"])}
    assert with_absent == {curve.name: curve.area for curve in curves(labels, probabilities, ["a", "b"])}


@pytest.mark.parametrize("curves", [roc_curves, pr_curves])
def test_one_class_alone_has_no_curve(curves):
    assert curves(np.zeros(5, dtype=int), answers(5, 3)[1], CLASSES) == []


# --- drawing


@pytest.mark.parametrize("plot", [plot_roc, plot_pr])
@pytest.mark.parametrize(
    "case", ["usual", "absent class", "one class", "one patient", "nobody", "not finite", "unknown"]
)
def test_curves_are_drawn_whatever_occurs(tmp_path, plot, case):
    labels, probabilities = answers(30, 3)
    if case == "absent class":
        labels = np.minimum(labels, 1)
    elif case == "one class":
        labels = np.ones(30, dtype=int)
    elif case in ("one patient", "nobody"):
        kept = {"one patient": 1, "nobody": 0}[case]
        labels, probabilities = labels[:kept], probabilities[:kept]
    elif case == "not finite":
        probabilities[::4] = np.nan
    elif case == "unknown":
        labels[::3] = -1
    plot(labels, probabilities, CLASSES, tmp_path / "curve.png", "Type")
    width, height = size_of(tmp_path / "curve.png")
    assert 600 < width < 1200
    assert 600 < height < 1200


def test_many_and_long_class_names_stay_inside(tmp_path):
    classes = [f"a tumour type with quite a long name, number {number}" for number in range(12)]
    plot_roc(*answers(120, 12), classes, tmp_path / "roc.png", "Type")
    plot_confusion(*[answers(120, 12)[0]] * 2, classes, tmp_path / "cm.png", "Type")
    for name in ("roc.png", "cm.png"):
        with Image.open(tmp_path / name) as image:
            border = np.asarray(image.convert("L"))
        assert border[[0, -1]].min() == 255
        assert border[:, [0, -1]].min() == 255


@pytest.mark.parametrize("name", ["$x$", "$\\frac{", "_hidden", "a\nb", "größe", "<b>"])
def test_any_text_may_be_a_name(tmp_path, name):
    classes = [name, "b", "c"]
    labels, probabilities = answers(9, 3)
    plot_roc(labels, probabilities, classes, tmp_path / "roc.png", name)
    plot_confusion(labels, labels, classes, tmp_path / "cm.png", name)
    plot_reliability(labels, probabilities, tmp_path / "reliability.png", name)
    plot_attention(np.zeros((2, 8, 8, 3), np.uint8), np.array([0.5, 0.5]), tmp_path / "attention.png", name)
    assert len(list(tmp_path.glob("*.png"))) == 4


@pytest.mark.parametrize("n", [0, 1, 30])
def test_confusion_and_reliability_are_drawn_for_any_number(tmp_path, n):
    labels, probabilities = answers(n, 3)
    plot_confusion(labels, probabilities.argmax(axis=1), CLASSES, tmp_path / "cm.png", "Type")
    plot_reliability(labels, probabilities, tmp_path / "reliability.png", "Type")
    assert 400 < size_of(tmp_path / "cm.png")[0] < 1000
    assert 600 < size_of(tmp_path / "reliability.png")[0] < 1000


def test_reliability_of_certain_answers_stays_in_the_last_bin(tmp_path):
    plot_reliability(np.array([0, 1]), np.eye(2), tmp_path / "reliability.png", "Type")
    assert size_of(tmp_path / "reliability.png")


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"epoch": 1, "train_loss": 1.0}],
        [{"epoch": e, "train_loss": 1 / e, "val_loss": float("nan"), "val_mean_dice": 0.5} for e in (1, 2, 3)],
        [{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": None, "val_type_roc_auc_macro": 0.6}],
    ],
    ids=["empty", "one epoch", "not finite", "gaps"],
)
def test_history_is_drawn_with_gaps(tmp_path, history):
    plot_history(history, tmp_path / "history.png", best_epoch=1 if history else None)
    assert size_of(tmp_path / "history.png")[1] < 1000


def test_comparison_leaves_out_what_is_undefined(tmp_path):
    known, undefined = {"value": 0.5, "low": 0.4, "high": 0.6}, {"value": None, "low": None, "high": None}
    comparison = {
        "runs": [{"name": name, "path": name, "patients": 9} for name in ("attention", "mean")],
        "metrics": [{"metric": "accuracy", "values": [known, undefined], "differences": [None, undefined]}],
        "patients": 9,
        "method": "paired bootstrap",
    }
    plot_comparison(comparison, tmp_path / "comparison.png")
    assert size_of(tmp_path / "comparison.png")


# --- attention


@pytest.mark.parametrize("slices", [1, 2, 3, 7, 24, 155])
def test_attention_is_drawn_for_any_number_of_slices(tmp_path, slices):
    stack = np.random.default_rng(0).integers(0, 255, (slices, 24, 20, 3), dtype=np.uint8)
    plot_attention(stack, np.full(slices, 1 / slices), tmp_path / "attention.png", "a patient")
    width, height = size_of(tmp_path / "attention.png")
    assert 1150 < width < 1300
    assert 400 < height < 1600


def test_evenly_spread_slices_are_enlarged_when_all_weigh_the_same(tmp_path):
    stack = np.zeros((9, 16, 16, 1), dtype=np.uint8)
    stack[[1, 4, 7]] = 200
    plot_attention(stack, np.full(9, 1 / 9), tmp_path / "attention.png", "a patient", top=3)
    with Image.open(tmp_path / "attention.png") as image:
        pixels = np.asarray(image.convert("L"))
    row = pixels[len(pixels) // 3]  # through the enlarged ones
    assert (row == 200).mean() > 0.8
    assert not (row == 0).any()


def test_the_heaviest_slice_is_enlarged_first(tmp_path):
    stack = np.zeros((6, 16, 16, 1), dtype=np.uint8)
    stack[4] = 200
    plot_attention(stack, np.array([0.1, 0.1, 0.1, 0.1, 0.5, 0.1]), tmp_path / "attention.png", "a patient", top=2)
    with Image.open(tmp_path / "attention.png") as image:
        pixels = np.asarray(image.convert("L"))
    top = pixels[: pixels.shape[0] // 2]
    left, right = top[:, : top.shape[1] // 2], top[:, top.shape[1] // 2 :]
    assert (left == 200).mean() > 0.5
    assert (right == 0).mean() > 0.5


@pytest.mark.parametrize("weights", [[0, 0, 0], [np.nan, 1, 0], [np.inf, 0.5, 0.5]])
def test_odd_weights_are_drawn(tmp_path, weights):
    plot_attention(np.zeros((3, 9, 9, 3), np.uint8), np.array(weights), tmp_path / "attention.png", "a patient")
    assert size_of(tmp_path / "attention.png")


@pytest.mark.parametrize("patient", ["../../etc/passwd", "a/b", "a\\b", "..", "größe", "%2F"])
def test_no_patient_leads_out_of_the_folder(tmp_path, patient):
    path = attention_path(tmp_path, patient)
    assert path.resolve().parent == tmp_path.resolve() / "figures" / "attention"


def test_patients_never_share_a_file(tmp_path):
    names = ["a/b", "a%2Fb", "a_b", "a\\b", "a:b"]
    assert len({attention_path(tmp_path, name) for name in names}) == len(names)


# --- files


def test_equal_input_gives_equal_bytes_in_any_thread(tmp_path):
    labels, probabilities = answers(30, 3)
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda path: plot_roc(labels, probabilities, CLASSES, path, "Type"), paths))
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_figure_leaves_no_other_file_and_no_global_state(tmp_path):
    import matplotlib
    from matplotlib import pyplot

    before = dict(matplotlib.rcParams)
    plot_roc(*answers(30, 3), CLASSES, tmp_path / "made" / "roc.png", "Type")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["roc.png"]
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == []
