import numpy as np
import pytest
from PIL import Image, ImageEnhance

from brainmri_monai.data.duplicates import ALL_VIEWS, fingerprint, near_pairs
from brainmri_monai.data.images import read_slices
from brainmri_monai.data.slices import twins
from brainmri_monai.data.slices.twins import find_twins


@pytest.fixture
def pictures(picture) -> list[np.ndarray]:
    return [picture(seed) for seed in range(12)]


def twins_of(pictures):
    return find_twins([fingerprint(picture) for picture in pictures])


def prepared(picture):
    return np.array(Image.fromarray(picture).convert("L"))


def test_different_slices_have_no_twins(pictures):
    twins = twins_of(pictures)
    assert len(set(twins.group)) == 12
    assert (twins.groups(), twins.copies(), twins.only_turned()) == ([], [], [])


def test_no_slices_have_no_twins():
    assert find_twins([]).groups() == []


def test_grey_and_colour_of_one_picture_are_equal_whatever_the_container(pictures, tmp_path):
    grey = Image.fromarray(pictures[0]).convert("L")
    grey.save(tmp_path / "a.png")
    grey.convert("RGB").save(tmp_path / "b.bmp")
    twins = twins_of([*read_slices([tmp_path / "a.png", tmp_path / "b.bmp"]), pictures[1]])
    assert twins.copies() == twins.groups() == [[0, 1]]


@pytest.mark.parametrize("view", ALL_VIEWS)
def test_a_turned_or_mirrored_slice_is_a_twin(pictures, view):
    turned = np.rot90(pictures[4], view % 4)
    twins = twins_of([*pictures, turned[:, ::-1] if view > 3 else turned])
    assert twins.groups() == [[4, 12]]
    assert twins.copies() == ([] if view else [[4, 12]])
    assert twins.only_turned() == ([4, 12] if view else [])


@pytest.mark.parametrize(("alike", "twin"), [((0.95, 0.97), False), ((0.98, 0.99), True)])
def test_how_alike_twins_are(pictures, alike, twin):
    """The most alike slices of two classes reached 0.970 in a public set."""
    first, other = (fingerprint(pictures[k]).thumbnail.ravel().astype(float) for k in (0, 1))
    blends = [(share * pictures[1] + (1 - share) * pictures[0]).astype(np.uint8) for share in np.linspace(0, 1, 101)]
    between = [
        blend
        for blend in blends
        if alike[0] < np.corrcoef(first, fingerprint(blend).thumbnail.ravel())[0, 1] < alike[1]
    ]
    assert between
    assert np.corrcoef(first, other)[0, 1] < 0.9
    assert all(bool(twins_of([pictures[0], blend]).groups()) is twin for blend in between)
    known = prepared(pictures[0])[None]
    for blend in between:
        for view in (prepared(blend), prepared(blend)[:, ::-1]):
            assert bool(twins.twins_of(view[None], known)[0]) is twin


def test_the_view_says_how_the_second_must_be_turned_to_look_like_the_first(pictures):
    first, second = (fingerprint(p).thumbnail for p in (pictures[0], np.rot90(pictures[0])))
    (view,) = near_pairs(np.stack([first, second]), np.arange(2), views=ALL_VIEWS).view
    assert np.abs(np.rot90(second, view).astype(int) - first).max() <= 3, "rounding while the picture shrinks"


def test_twins_of_twins_are_one_group(pictures):
    brighter = np.array(ImageEnhance.Brightness(Image.fromarray(pictures[0])).enhance(0.7))
    slices = [brighter[:, ::-1], *pictures, brighter, brighter]
    twins = twins_of(slices)
    assert twins.groups() == [[0, 1, 13, 14]]
    assert twins.copies() == [[13, 14]]
    assert twins.only_turned() == [0]


def test_a_picture_in_two_classes_contradicts(pictures):
    brighter = np.array(ImageEnhance.Brightness(Image.fromarray(pictures[1])).enhance(0.8))
    twins = twins_of([pictures[0], pictures[1], pictures[0], brighter, pictures[2], pictures[2]])
    labels = ["a", "a", "b", "b", "a", "a"]
    assert list(twins.contradictions(labels)) == [([0, 2], True), ([1, 3], False)]


def test_empty_slices_are_twins_only_when_equal():
    black = np.zeros((32, 32, 3), np.uint8)
    dark = black.copy()
    dark[5, 5] = 3
    assert twins_of([black, dark, black]).groups() == [[0, 2]]
