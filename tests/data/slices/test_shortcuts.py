import numpy as np
import pytest
from PIL import Image

from brainmri_monai.data.slices.shortcuts import probe_shortcuts
from brainmri_monai.data.slices.traits import TRAITS, name_traits, picture_traits


def traits(**of_group) -> dict:
    return {group: of_group.get(group, (0.0,) * len(names)) for group, names in TRAITS.items()}


def probe(values, labels, group="size", names=None, groups=None):
    names = names or ["x"] * len(labels)
    groups = range(len(labels)) if groups is None else groups
    return probe_shortcuts([traits(**{group: (v, 0.0, 0.0)}) for v in values], names, labels, list(groups))


LABELS = ["a", "b", "c"] * 40


def test_a_trait_that_tells_the_class_is_found_and_named():
    found = probe([LABELS[k] == "b" for k in range(120)], LABELS)
    assert found.together["b"] == found.alone["size"]["b"] == 1.0
    assert found.together["a"] == pytest.approx(0.75, abs=0.05), "b is told, a or c is guessed"
    assert found.telling("b")[0] == "size"
    assert found.alone["borders"] == {"a": 0.5, "b": 0.5, "c": 0.5}


def test_traits_without_the_class_tell_nothing():
    random = np.random.default_rng(0)
    areas = probe(random.normal(size=600), LABELS * 5).together
    assert all(area == pytest.approx(0.5, abs=0.08) for area in areas.values())


def test_twins_do_not_help():
    """Each group of ten slices has a random value of its own: a split by slice would learn it by heart."""
    random = np.random.default_rng(0)
    values = np.repeat(random.permutation(60), 10).astype(float)
    labels = np.repeat(["a", "b"] * 30, 10).tolist()
    by_group = probe(values, labels, groups=np.repeat(np.arange(60), 10)).together["a"]
    by_slice = probe(values, labels).together["a"]
    assert by_group < 0.75 < 0.95 < by_slice


def test_names_are_judged_alone():
    names = [f"Tr-{label}_{k}" for k, label in enumerate(LABELS)]
    found = probe(np.zeros(120), LABELS, names=names)
    assert found.alone["names"]["a"] > 0.99
    assert found.together["a"] == 0.5
    assert "names" not in found.telling("a")


def test_too_few_slices_are_not_judged():
    assert probe(np.arange(30), ["a"] * 30) is None
    assert probe(np.arange(30), ["a"] * 21 + ["b"] * 9) is None
    assert probe(np.arange(40), ["a"] * 20 + ["b"] * 20, groups=[*range(20), *[20] * 20]) is None


def test_names_give_number_length_and_pattern():
    assert name_traits(["Tr-gl_0010", "Te-x", "Tr-gl_7"]).tolist() == [[10, 10, 1], [-1, 4, 0], [7, 7, 1]]


def test_borders_and_background_by_hand(tmp_path):
    picture = np.full((40, 80, 3), 4, np.uint8)
    picture[10:30, 8:56] = 200
    picture[0, 0] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    found = picture_traits(tmp_path / "a.png", picture)
    assert found["size"] == (40, 80, 2.0)
    top, bottom, left, right, level, _, frame = found["borders"]
    assert (top, bottom, left, right) == (10 / 40, 10 / 40, 8 / 80, 24 / 80)
    assert (level, frame) == (4, 0), "the first row is not flat"
    corners = 4 * 5 * 10
    assert found["background"][0] == 4
    assert found["background"][1] == pytest.approx(4 - 4 / corners)
    assert found["background"][3:] == (pytest.approx(1 / corners), 0)


def test_a_flat_frame_has_a_width(tmp_path):
    picture = np.full((40, 40, 3), 255, np.uint8)
    picture[4:-4, 4:-4] = np.arange(32, dtype=np.uint8)[:, None]
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert picture_traits(tmp_path / "a.png", picture)["borders"][-1] == 4 / 40


def test_jpeg_tables_tell_the_quality(tmp_path):
    picture = np.zeros((16, 16, 3), np.uint8)
    for quality in (50, 95):
        Image.fromarray(picture).save(tmp_path / f"{quality}.jpg", quality=quality)
    Image.fromarray(picture).convert("L").save(tmp_path / "grey.jpg")
    Image.fromarray(picture).save(tmp_path / "a.png")
    stored = {
        name: dict(zip(TRAITS["storage"], picture_traits(tmp_path / name, picture)["storage"], strict=True))
        for name in ("50.jpg", "95.jpg", "grey.jpg", "a.png")
    }
    assert stored["50.jpg"]["luma first"] == 16, "the first value of the table in the standard, at quality 50"
    assert stored["50.jpg"]["luma table"] == 3688 > stored["95.jpg"]["luma table"] > 0, "the sum of that table"
    assert (stored["grey.jpg"]["channels"], stored["grey.jpg"]["tables"]) == (1, 1)
    assert (stored["a.png"]["luma table"], stored["a.png"]["tables"]) == (-1, 0)


@pytest.mark.parametrize("make", [np.zeros, np.ones])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_picture_of_one_value_has_traits(tmp_path, make, kind):
    Image.fromarray(make((8, 9, 3), np.uint8)).save(tmp_path / "a.png")
    found = picture_traits(tmp_path / "a.png", make((8, 9, 3), kind))
    assert all(np.isfinite(value) for values in found.values() for value in values)
    assert [len(values) for values in found.values()] == [len(names) for names in TRAITS.values()]
