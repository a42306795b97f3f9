import gzip
import struct
from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from brainmri_monai.data.brats.cases import Case, find_volumes
from brainmri_monai.data.brats.conventions import find_convention
from brainmri_monai.data.brats.volumes import read_case, read_label
from brainmri_monai.errors import BrainMRIError

NAME = "BraTS20_Training_001"


@pytest.fixture
def folder(tmp_path, write_case):
    return write_case(tmp_path / NAME, (1, 2, 4))


def the_case(folder, **options) -> Case:
    return find_volumes(folder, convention="brats2020", **options).cases[0]


def voxels(folder, word: str) -> np.ndarray:
    return np.asanyarray(nib.load(folder / f"{NAME}_{word}.nii.gz").dataobj)


def refused(read, *arguments) -> list[str]:
    """The lines of the error."""
    with pytest.raises(BrainMRIError) as error:
        read(*arguments)
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    return lines


@pytest.fixture
def refusal(folder, save):
    """The lines of the error when the T2 file is replaced by these voxels and affine."""

    def write(image, affine=None):
        save(folder / f"{NAME}_t2.nii.gz", image, *([] if affine is None else [affine]))
        what, where, _ = refused(read_case, the_case(folder))
        assert where.endswith(f"{NAME}_t2.nii.gz")
        return what

    return write


def test_channels_are_t1c_t1_t2_flair_in_the_intensities_and_the_grid_of_the_files(folder):
    image, affine = read_case(the_case(folder))
    assert (image.shape, image.dtype) == ((4, 12, 11, 10), np.float32)
    for channel, word in zip(image, ("t1ce", "t1", "t2", "flair"), strict=True):
        np.testing.assert_array_equal(channel, voxels(folder, word))
    np.testing.assert_array_equal(affine, np.diag([-1, -1, 1, 1]))


def test_the_channels_of_a_4d_file_are_brought_to_that_order(tmp_path, save):
    stacked = np.random.default_rng(0).integers(1, 100, (8, 9, 10, 4)).astype(np.int16)  # FLAIR, T1w, T1gd, T2w
    save(tmp_path / "imagesTr/BRATS_001.nii.gz", stacked)
    save(tmp_path / "labelsTr/BRATS_001.nii.gz", np.full((8, 9, 10), 3, np.uint8))
    found = find_volumes(tmp_path)
    image, _ = read_case(found.cases[0])
    np.testing.assert_array_equal(image, stacked.transpose(3, 0, 1, 2)[[2, 1, 3, 0]])
    assert read_label(found.cases[0], found.convention).max() == 3


@pytest.mark.parametrize(
    "codes", [c for order in permutations(("RL", "AP", "SI")) for c in map("".join, product(*order))]
)
def test_every_orientation_stays_as_it_is(folder, codes):
    for file in folder.iterdir():
        stored = nib.load(file)
        turn = nib.orientations.ornt_transform(
            nib.io_orientation(stored.affine), nib.orientations.axcodes2ornt(tuple(codes))
        )
        nib.save(nib.Nifti1Image(np.asanyarray(stored.dataobj), stored.affine).as_reoriented(turn), file)
    image, affine = read_case(the_case(folder))
    assert "".join(nib.aff2axcodes(affine)) == codes
    np.testing.assert_array_equal(image[2], voxels(folder, "t2"))
    assert read_label(the_case(folder)).shape == image.shape[1:]


def test_values_after_skull_stripping_and_at_the_end_of_the_range_are_kept(folder, save):
    image = voxels(folder, "t2").copy()
    image[5, 5, 5], image[5, 5, 4] = 32767, -12
    save(folder / f"{NAME}_t2.nii.gz", image)
    read, _ = read_case(the_case(folder))
    assert (read.max(), read.min()) == (32767, -12)


def test_scaled_and_float_voxels_are_read_as_the_header_says(folder, save):
    image = nib.Nifti1Image(voxels(folder, "t2"), np.diag([-1, -1, 1, 1]))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, folder / f"{NAME}_t2.nii.gz")
    save(folder / f"{NAME}_t1.nii.gz", voxels(folder, "t1").astype(np.float64) / 3)
    read, _ = read_case(the_case(folder))
    np.testing.assert_allclose(read[2], nib.load(folder / f"{NAME}_t2.nii.gz").get_fdata())
    np.testing.assert_allclose(read[1], voxels(folder, "t1"), rtol=1e-6)


def test_a_modality_that_is_allowed_to_be_missing_is_zero(folder):
    (folder / f"{NAME}_t1ce.nii.gz").unlink()
    image, _ = read_case(the_case(folder, allow_missing=True))
    assert [bool(channel.any()) for channel in image] == [False, True, True, True]


def test_affines_may_differ_by_rounding(folder, save):
    affine = np.diag([-1.0, -1, 1, 1])
    affine[:3, 3] += 1e-8
    affine[0, 1] = 1e-6
    before, _ = read_case(the_case(folder))
    save(folder / f"{NAME}_t2.nii.gz", voxels(folder, "t2"), affine)
    image, used = read_case(the_case(folder))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(used, np.diag([-1.0, -1, 1, 1]))


def test_an_affine_2_mm_away_is_refused_with_the_distance(folder, refusal):
    affine = np.diag([-1.0, -1, 1, 1])
    affine[1, 3] = 2
    expected = f"the affine puts voxels up to 2 mm from where {NAME}_t1ce.nii.gz has them"
    assert refusal(voxels(folder, "t2"), affine) == expected


def test_a_flipped_modality_is_refused(folder, refusal):
    assert "the affine puts voxels up to 22 mm" in refusal(voxels(folder, "t2"), np.diag([1.0, -1, 1, 1]))  # 2 x 11


def test_another_shape_is_refused(refusal):
    what = refusal(np.ones((12, 11, 9), np.int16))
    assert what == f"expected the shape (12, 11, 10) of {NAME}_t1ce.nii.gz, found (12, 11, 9)"


@pytest.mark.parametrize("shape", [(12, 11), (12, 11, 10, 2), (12, 11, 10, 1, 3)])
def test_other_axes_are_refused(refusal, shape):
    assert refusal(np.ones(shape, np.int16)) == f"expected a volume of 3 axes, found the shape {shape}"


def test_axes_of_length_one_do_not_matter(folder, save):
    save(folder / f"{NAME}_t2.nii.gz", voxels(folder, "t2")[..., None])
    assert read_case(the_case(folder))[0].shape == (4, 12, 11, 10)


@pytest.mark.parametrize("value", [0, 5])
def test_an_empty_modality_is_refused(refusal, value):
    what = refusal(np.full((12, 11, 10), value, np.int16))
    assert what == f"the modality t2 is empty: every voxel is {value}"


def test_a_modality_of_one_value_in_the_brain_is_refused(refusal):
    volume = np.full((12, 11, 10), 100, np.int16)
    volume[:3] = 0
    assert refusal(volume) == "the modality t2 is empty: every voxel that is not 0 is 100"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(refusal, value):
    image = np.zeros((12, 11, 10), np.float32)
    image[3, 3, 3:5] = value
    assert refusal(image) == "2 of 1320 values are NaN or infinite"


def test_a_truncated_file_is_refused(folder):
    file = folder / f"{NAME}_flair.nii.gz"
    file.write_bytes(file.read_bytes()[:-200])
    what, where, _ = refused(read_case, the_case(folder))
    assert what.startswith("the volume cannot be read to its end")
    assert where == str(file)


def test_a_header_that_claims_a_trillion_voxels_is_refused_before_memory_is_taken(folder):
    import tracemalloc

    file = folder / f"{NAME}_t1.nii.gz"
    content = bytearray(gzip.decompress(file.read_bytes()))
    struct.pack_into("<8h", content, 40, 3, 10000, 10000, 10000, 1, 1, 1, 1)
    file.write_bytes(gzip.compress(content))
    case = the_case(folder)
    tracemalloc.start()
    what, where, _ = refused(read_case, case)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert what.startswith("the header claims (10000, 10000, 10000) voxels of int16")
    assert where == str(file)


def test_a_decathlon_file_with_other_channels_is_refused(tmp_path, save):
    save(tmp_path / "imagesTr/BRATS_001.nii.gz", np.ones((8, 8, 8, 3), np.int16))
    what, _, _ = refused(read_case, find_volumes(tmp_path).cases[0])
    assert what == "expected 4 axes, with the 4 channels flair, t1, t1c, t2 last; found (8, 8, 8, 3)"


def test_spaces_and_foreign_letters_in_paths(tmp_path, write_case):
    folder = write_case(tmp_path / "Größe 1 腦" / NAME, (1, 2, 4))
    assert read_case(the_case(folder))[0].any()


# Label maps


def test_labels_of_whole_floats_become_bytes(folder, save):
    expected = voxels(folder, "seg")
    save(folder / f"{NAME}_seg.nii.gz", expected.astype(np.float64))
    label = read_label(the_case(folder), find_convention("brats2020"))
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, expected)


def test_labels_that_miss_a_whole_number_by_rounding_are_whole(folder, save):
    expected = voxels(folder, "seg")
    save(folder / f"{NAME}_seg.nii.gz", expected * (1 - 1e-5) + 1e-7)
    convention = find_convention("brats2020")
    np.testing.assert_array_equal(read_label(the_case(folder), convention), expected)
    save(folder / f"{NAME}_seg.nii.gz", expected * 1.002)
    assert "found 1.002, 2.004, 4.008" in refused(read_label, the_case(folder), convention)[0]


@pytest.mark.parametrize(("value", "found"), [(0.5, "0.5, 1, 2"), (-1, "-1"), (np.nan, "NaN"), (1000, "1000")])
def test_labels_that_are_no_labels_are_refused(folder, save, value, found):
    label = voxels(folder, "seg").astype(np.float32)
    label[label > 0] *= value if value == 0.5 else 1
    label[5, 5, 5] = value
    save(folder / f"{NAME}_seg.nii.gz", label)
    what, where, _ = refused(read_label, the_case(folder))
    assert found.split(",")[0] in what
    assert where.endswith("_seg.nii.gz")


def test_labels_of_another_convention_are_refused(folder):
    what, _, remedy = refused(read_label, the_case(folder), find_convention("brats2023"))
    assert what == "expected the label values of brats2023 (1 NCR, 2 ED, 3 ET), found 1, 2, 4"
    assert "--convention" in remedy


def test_a_label_map_on_another_grid_is_refused(folder, save):
    save(folder / f"{NAME}_seg.nii.gz", voxels(folder, "seg"), np.diag([-1.0, -1, 2, 1]))
    what, _, _ = refused(read_label, the_case(folder))
    assert "the affine puts voxels up to 9 mm" in what
