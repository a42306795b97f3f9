import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from brainmri_monai.data.duplicates import find_duplicates, fingerprint
from brainmri_monai.data.images import read_slices


def found(pictures, owners=None) -> list[tuple[tuple[int, ...], bool]]:
    owners = list(range(len(pictures))) if owners is None else owners
    return [(group.members, group.exact) for group in find_duplicates([fingerprint(p) for p in pictures], owners)]


@pytest.fixture
def pictures(picture) -> list[np.ndarray]:
    return [picture(seed) for seed in range(20)]


def test_different_pictures_are_no_duplicates(pictures):
    assert found(pictures) == []
    assert found([]) == []


def test_a_copy_is_exact_whatever_the_file_format(pictures, tmp_path):
    files = [tmp_path / "a.png", tmp_path / "b.bmp"]
    for file in files:
        Image.fromarray(pictures[3]).save(file)
    assert found([*pictures[4:], *read_slices(files)]) == [((16, 17), True)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((48, 48), Image.Resampling.BILINEAR),
        lambda image: ImageEnhance.Brightness(image).enhance(0.7),
        lambda image: ImageEnhance.Contrast(image).enhance(0.6),
        lambda image: ImageEnhance.Sharpness(image).enhance(2.0),
        lambda image: image.convert("L").convert("RGB"),
        ImageOps.mirror,
    ],
    ids=["smaller", "darker", "less contrast", "sharper", "grey", "mirrored"],
)
def test_a_changed_copy_is_near(pictures, change):
    changed = np.array(change(Image.fromarray(pictures[5])))
    assert found([*pictures, changed]) == [((5, 20), False)]


def test_a_compressed_copy_is_near(pictures, tmp_path):
    Image.fromarray(pictures[5]).save(tmp_path / "a.jpg", quality=60)
    assert found([*pictures, *read_slices(tmp_path / "a.jpg")]) == [((5, 20), False)]


def test_a_16_bit_copy_is_near(pictures):
    assert found([*pictures, pictures[5].astype(np.float32) * 257]) == [((5, 20), False)]


def test_slices_of_one_owner_are_not_compared_with_their_mirror_images(pictures):
    assert found([pictures[0], pictures[0][:, ::-1]], ["p", "p"]) == []


def test_slices_of_one_owner_are_not_compared(pictures):
    neighbour = np.clip(pictures[0].astype(int) + 3, 0, 255).astype(np.uint8)
    assert found([pictures[0], neighbour, pictures[0]], ["p", "p", "p"]) == []


def test_neighbours_do_not_join_a_group_through_their_owner(pictures):
    neighbour = ImageEnhance.Contrast(Image.fromarray(pictures[0])).enhance(0.9)
    stack = [pictures[0], pictures[1], pictures[1], np.array(neighbour)]
    assert found(stack, ["p", "p", "q", "p"]) == [((1, 2), True)]


def test_three_owners_of_one_picture_are_one_group(pictures):
    assert found([pictures[0], pictures[1], pictures[0], pictures[0]]) == [((0, 2, 3), True)]


def test_blank_slices_are_no_duplicates():
    black = np.zeros((64, 64, 3), dtype=np.uint8)
    noisy = black.copy()
    noisy[::2] = 6
    spot = np.zeros((64, 64, 3), dtype=np.float32)
    spot[30:34, 30:34] = 1000
    assert found([black, black, noisy, noisy, spot, spot]) == []
    assert [fingerprint(p).constant for p in (black, noisy, spot)] == [True, False, False]


def test_groups_are_the_same_when_the_matrix_is_cut_into_blocks(pictures, monkeypatch):
    pictures = [*pictures, *(p // 2 for p in pictures[::3])]
    whole = found(pictures)
    assert [members for members, _ in whole] == [(0, 20), (3, 21), (6, 22), (9, 23), (12, 24), (15, 25), (18, 26)]
    monkeypatch.setattr("brainmri_monai.data.duplicates._ROWS", 3)
    assert found(pictures) == whole


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA does not name the folder of the real data")
def test_copies_in_a_public_set_are_found():
    root = Path(os.environ["BRAINMRI_DATA"]) / "tumor_slices" / "notumor"
    files = sorted(root.glob("Tr-no_00[5-9]*.jpg")) + sorted(root.glob("Tr-no_03[3-7]*.jpg"))
    prints = [fingerprint(read_slices(file)[0]) for file in files]
    groups = [[files[k].stem[-4:] for k in group.members] for group in find_duplicates(prints, files) if group.exact]
    assert ["0050", "0346"] in groups
    for members in groups:  # the pixels themselves are equal
        first, *others = (read_slices(root / f"Tr-no_{number}.jpg")[0] for number in members)
        assert all(np.array_equal(first, other) for other in others)
