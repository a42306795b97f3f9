import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose
from nibabel.orientations import axcodes2ornt, ornt_transform
from PIL import Image

from brainmri_monai.data.bundles import config_files, find_bundle
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.transforms import BAG_POLICIES, LoadSlicesd, SelectSlicesd, prepare_slices

SIZE = 24


def picture(seed: int, height: int, width: int, mode: str = "RGB") -> Image.Image:
    """Smooth as a slice is, so that resizing has something to keep; no channel uses its whole range."""
    coarse = np.random.default_rng(seed).integers(0, [256, 150, 90], (5, 4, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


@pytest.fixture
def write_stack(tmp_path):
    def write(shapes: list[tuple[int, int]], modes: list[str] | None = None, suffix: str = "png") -> list[str]:
        files = []
        for k, (height, width) in enumerate(shapes):
            files.append(str(tmp_path / f"{k}.{suffix}"))
            picture(k, height, width, modes[k] if modes else "RGB").save(files[-1])
        return files

    return write


def write_volume(path, axes: str = "PLS", dtype: type = np.int16) -> str:
    """A volume that is the same in the world, 40 x 31 x 5 toward posterior, left and superior, whatever its axes."""
    data = np.stack([np.array(picture(k, 40, 31, "L")) for k in range(5)], axis=-1)
    image = nib.Nifti1Image(data.astype(dtype), np.array([[0, -2, 0, 5], [-1, 0, 0, 7], [0, 0, 3, 9], [0, 0, 0, 1.0]]))
    assert nib.aff2axcodes(image.affine) == tuple("PLS")
    turn = ornt_transform(axcodes2ornt("PLS"), axcodes2ornt(axes))
    image.as_reoriented(turn).to_filename(path)
    return str(path)


# Policies


@pytest.mark.parametrize(
    ("policy", "size", "count", "expected"),
    [
        ("uniform", 3, 9, [1, 4, 7]),
        ("uniform", 4, 10, [1, 3, 6, 8]),
        ("uniform", 1, 5, [2]),
        ("first", 3, 9, [0, 1, 2]),
        ("center", 3, 9, [3, 4, 5]),
        ("center", 4, 9, [2, 3, 4, 5]),
        ("all", 3, 5, [0, 1, 2, 3, 4]),
    ],
)
def test_policies_by_hand(policy, size, count, expected):
    assert SelectSlicesd("image", policy, size).select(count) == expected


@pytest.mark.parametrize("policy", BAG_POLICIES)
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_patient_with_fewer_slices_gives_them_all(policy, count):
    assert SelectSlicesd("image", policy, size=8).select(count) == list(range(count))


@pytest.mark.parametrize("policy", BAG_POLICIES)
def test_chosen_slices_differ_and_keep_their_order(policy):
    select = SelectSlicesd("image", policy, size=8)
    for count in (9, 20, 155):
        chosen = select.select(count)
        assert chosen == sorted(set(chosen))
        assert set(chosen) <= set(range(count))
        assert len(chosen) == (count if policy == "all" else 8)


def test_random_bags_differ_from_call_to_call_and_repeat_with_the_state():
    select = SelectSlicesd("image", "random", size=4).set_random_state(5)
    first = [select.select(50) for _ in range(5)]
    assert len({tuple(chosen) for chosen in first}) == 5
    select.set_random_state(5)
    assert [select.select(50) for _ in range(5)] == first


def test_a_composition_seeds_the_random_policy():
    volume = {"image": torch.arange(50).reshape(1, 1, 1, 50)}

    def draw(seed: int) -> list[int]:
        transform = Compose([SelectSlicesd("image", "random", size=4)]).set_random_state(seed)
        return transform(volume)["image"].flatten().tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_random_reaches_every_slice():
    select = SelectSlicesd("image", "random", size=2).set_random_state(0)
    assert {n for _ in range(100) for n in select.select(6)} == set(range(6))


def test_slices_are_taken_from_the_last_axis():
    volume = torch.rand(3, 6, 5, 9)
    sample = {"image": volume, "id": "p"}
    chosen = SelectSlicesd("image", "uniform", size=3)(sample)
    torch.testing.assert_close(chosen["image"], volume[..., [1, 4, 7]])
    assert chosen["id"] == "p"
    assert sample["image"] is volume  # the sample that was given stays as it was


def test_embedded_slices_are_chosen_alike():
    features = torch.rand(256, 9)  # F N
    torch.testing.assert_close(SelectSlicesd("image", "center", 3)({"image": features})["image"], features[:, 3:6])


def test_an_unknown_policy_or_an_empty_bag_is_refused():
    with pytest.raises(ValueError, match="uniform, first, center, random, all, got 'middle'"):
        SelectSlicesd("image", "middle")
    with pytest.raises(ValueError, match="size=0"):
        SelectSlicesd("image", size=0)


# Preparation


def test_prepared_slices_are_squares_of_bytes(write_stack):
    slices = prepare_slices(write_stack([(40, 30)] * 3), SIZE)
    assert slices.shape == (3, SIZE, SIZE, 3)
    assert slices.dtype == np.uint8
    assert slices.flags.c_contiguous


def test_each_channel_of_a_patient_uses_the_whole_range(write_stack):
    slices = prepare_slices(write_stack([(40, 30)] * 3), SIZE)
    assert slices.min(axis=(0, 1, 2)).tolist() == [0, 0, 0]
    assert slices.max(axis=(0, 1, 2)).tolist() == [255, 255, 255]
    assert (slices.max(axis=(1, 2)) < 255).any()  # not each slice by itself


def test_grey_values_are_scaled_by_hand(tmp_path):
    """10 to 60 becomes 0 to 255: 20 lies at a fifth of the range, 51."""
    pixels = np.repeat(np.array([10, 20, 60, 60], dtype=np.uint8), 16).reshape(8, 8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    slices = prepare_slices([tmp_path / "1.png"], 8)
    assert sorted(np.unique(slices)) == [0, 51, 255]


def test_mixed_sizes_and_modes_keep_their_order(write_stack):
    modes = ["RGB", "L", "RGBA", "P", "RGB"]
    files = write_stack([(40, 30), (24, 24), (40, 30), (50, 64), (24, 24)], modes)
    slices = prepare_slices(files, SIZE)
    assert slices.shape == (5, SIZE, SIZE, 3)
    turned = prepare_slices(files[::-1], SIZE)
    np.testing.assert_array_equal(turned[::-1], slices)


def test_slices_of_one_size_are_the_same_among_others(write_stack):
    """What is resized together must not depend on what else the patient has, apart from the common scaling."""
    files = write_stack([(40, 30), (SIZE, SIZE), (40, 30)])
    slices = prepare_slices(files, SIZE)
    whole = np.array(Image.open(files[1])).astype(float)
    scaled = slices[1].astype(float)
    for c in range(3):
        inside = (scaled[..., c] > 0) & (scaled[..., c] < 255)
        slope, offset = np.polyfit(whole[..., c][inside], scaled[..., c][inside], 1)
        assert np.abs(slope * whole[..., c][inside] + offset - scaled[..., c][inside]).max() < 1


@pytest.mark.parametrize("offset", [5000.0, -700.0])
def test_what_is_added_to_all_values_changes_nothing(pipelines, tmp_path, offset):
    image = nib.load(write_volume(tmp_path / "v.nii.gz", "LPS", np.float32))
    nib.Nifti1Image(image.get_fdata(dtype=np.float32) + offset, image.affine).to_filename(tmp_path / "moved.nii.gz")
    for pipeline in pipelines:
        volume, moved = (pipeline({"image": str(tmp_path / name)})["image"] for name in ("v.nii.gz", "moved.nii.gz"))
        torch.testing.assert_close(moved, volume, atol=1.01 / 255, rtol=0)  # one grey level, by rounding


@pytest.mark.filterwarnings("ignore:Divide by zero")
def test_a_black_patient_stays_black(tmp_path):
    Image.new("L", (30, 30)).save(tmp_path / "1.png")
    assert prepare_slices([tmp_path / "1.png"], SIZE).max() == 0


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "ASR", "SPL", "PLI"])
def test_a_volume_is_the_same_whatever_its_axes(tmp_path, axes):
    expected = prepare_slices(write_volume(tmp_path / "pls.nii.gz"), SIZE)
    np.testing.assert_array_equal(prepare_slices(write_volume(tmp_path / "other.nii.gz", axes), SIZE), expected)


def test_a_volume_equals_its_slices_as_pictures(tmp_path):
    files = []
    for k in range(5):
        files.append(tmp_path / f"{k}.png")
        picture(k, 40, 31, "L").save(files[-1])
    np.testing.assert_array_equal(
        prepare_slices(write_volume(tmp_path / "v.nii.gz", "LAS"), SIZE), prepare_slices(files, SIZE)
    )


# Loading


def test_a_loaded_patient_is_a_volume_of_slices(write_stack):
    files = write_stack([(40, 30)] * 3)
    sample = LoadSlicesd("image", SIZE)({"image": files, "id": "p"})
    assert sample["image"].shape == (3, SIZE, SIZE, 3)
    assert sample["image"].dtype == torch.uint8
    np.testing.assert_array_equal(sample["image"].numpy().transpose(3, 1, 2, 0), prepare_slices(files, SIZE))
    assert sample["id"] == "p"


def test_a_store_changes_nothing_and_decodes_once(write_stack, tmp_path, monkeypatch):
    files = write_stack([(40, 30)] * 3)
    expected = LoadSlicesd("image", SIZE)({"image": files})["image"]
    load = LoadSlicesd("image", SIZE, ArrayStore(tmp_path / "cache", "test"))
    torch.testing.assert_close(load({"image": files})["image"], expected)
    monkeypatch.setattr("brainmri_monai.transforms.slices.prepare_slices", None)  # would fail
    torch.testing.assert_close(load({"image": files})["image"], expected)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "1.png").write_text("hello")
    with pytest.raises(BrainMRIError, match=r"1\.png"):
        LoadSlicesd("image", SIZE)({"image": [str(tmp_path / "1.png")]})


# The portable preprocessing of the bundle


@pytest.fixture(scope="module")
def pipelines() -> tuple[Compose, Compose]:
    """``preprocessing`` of inference.json, by MONAI's transforms alone, and that of fast.json."""
    root = find_bundle("brain_tumor_mil_classification")
    parsed = []
    for portable in (True, False):
        parser = ConfigParser()
        parser.read_config([str(file) for file in config_files(root, "inference", portable=portable)])
        parser["image_size"] = SIZE
        parser.parse()
        parsed.append(parser.get_parsed_content("preprocessing"))
    return parsed[0], parsed[1]


def require_equal(pipelines: tuple[Compose, Compose], image: str | list[str], shape: tuple[int, ...]) -> None:
    portable, fast = (pipeline({"id": "p", "image": image})["image"] for pipeline in pipelines)
    assert type(portable) is torch.Tensor
    assert portable.dtype == fast.dtype == torch.float32
    assert portable.shape == fast.shape == shape
    assert 0 <= portable.min() <= portable.max() <= 1
    torch.testing.assert_close(torch.as_tensor(fast), portable, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (SIZE, SIZE), (17, 60)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_portable_and_fast_agree_on_a_stack(pipelines, write_stack, shape, mode):
    files = write_stack([shape] * 4, [mode] * 4)
    require_equal(pipelines, files, (3, SIZE, SIZE, 4))


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif"])
def test_portable_and_fast_agree_on_every_format(pipelines, write_stack, suffix):
    require_equal(pipelines, write_stack([(40, 30)] * 2, suffix=suffix), (3, SIZE, SIZE, 2))


@pytest.mark.parametrize("as_list", [True, False])
def test_portable_and_fast_agree_on_a_single_slice(pipelines, write_stack, as_list):
    (file,) = write_stack([(40, 30)])
    require_equal(pipelines, [file] if as_list else file, (3, SIZE, SIZE, 1))


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "ASR", "PLS"])
def test_portable_and_fast_agree_on_a_volume(pipelines, tmp_path, axes):
    require_equal(pipelines, write_volume(tmp_path / "volume.nii.gz", axes), (3, SIZE, SIZE, 5))


def test_portable_and_fast_agree_on_an_uncompressed_volume_of_floats(pipelines, tmp_path):
    require_equal(pipelines, write_volume(tmp_path / "volume.nii", "LPS", np.float32), (3, SIZE, SIZE, 5))


def test_portable_and_fast_agree_on_an_oblique_volume_of_three_channels(pipelines, tmp_path):
    data = np.stack([np.array(picture(k, 40, 31)) for k in range(5)], axis=2).astype(np.float32)  # X Y Z C
    tilt = np.deg2rad(10)
    affine = np.diag([1.0, -1, 2, 1])
    affine[:2, :2] = [[np.cos(tilt), np.sin(tilt)], [np.sin(tilt), -np.cos(tilt)]]
    nib.Nifti1Image(data, affine).to_filename(tmp_path / "volume.nii.gz")
    require_equal(pipelines, str(tmp_path / "volume.nii.gz"), (3, SIZE, SIZE, 5))
