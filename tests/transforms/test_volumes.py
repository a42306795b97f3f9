"""A case's way from its files to a patch, on small cases drawn here."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.conventions import MODALITIES, find_convention
from brainmri_monai.data.bundles import find_bundle
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.transforms import LoadCased, LoadPatchd, ModalityDropoutd, ToRegionsd, prepare_case

OLD = find_convention("brats2020")  # enhancing tumour is 4
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (40, 44, 36)


def write_case(folder: Path, axcodes: str = "LPS", name: str = "case") -> Case:
    """A brain that fills the box from 4 to -4, with 8 voxels of each tissue in a row, on the axes asked for."""
    random = np.random.default_rng(0)
    brain = np.zeros((4, *SHAPE))
    brain[:, 4:-4, 4:-4, 4:-4] = random.normal(100, 20, (4, *(n - 8 for n in SHAPE)))
    label = np.zeros(SHAPE)
    for n, value in enumerate((1, 2, 4)):
        label[20:22, 20:22, 10 + 2 * n : 12 + 2 * n] = value

    def save(volume: np.ndarray, word: str) -> Path:
        image = nib.Nifti1Image(volume.astype(np.float32), LPS)
        turned = image.as_reoriented(
            nib.orientations.ornt_transform(nib.io_orientation(LPS), nib.orientations.axcodes2ornt(axcodes))
        )
        nib.save(turned, folder / f"{name}_{word}.nii.gz")
        return folder / f"{name}_{word}.nii.gz"

    folder.mkdir(parents=True, exist_ok=True)
    images = {modality: save(brain[n], modality) for n, modality in enumerate(MODALITIES)}
    return Case(name, name, images=images, label=save(label, "seg"))


@pytest.fixture
def case(tmp_path) -> Case:
    return write_case(tmp_path / "case")


@pytest.fixture
def store(tmp_path) -> ArrayStore:
    return ArrayStore(tmp_path / "cache", "test")


def test_a_prepared_case_is_the_box_of_the_brain_normalised_over_it(case):
    prepared = prepare_case(case, OLD)
    assert prepared.shape == (*(n - 8 for n in SHAPE), 5)
    images = prepared[..., :4].astype(float)
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(images.std(axis=(0, 1, 2)), 1, atol=1e-3)


def test_labels_are_stored_in_portable_values(case):
    values, counts = np.unique(prepare_case(case, OLD)[..., 4], return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True))[3.0] == 8
    assert values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("axcodes", ["RAS", "SPL", "AIR"])
def test_the_orientation_of_the_files_does_not_matter(case, tmp_path, axcodes):
    turned = write_case(tmp_path / "turned", axcodes)
    np.testing.assert_array_equal(prepare_case(turned, OLD), prepare_case(case, OLD))


def test_training_and_inference_preprocess_alike(case):
    parser = ConfigParser()
    parser.read_config(find_bundle("brats_mri_volume_segmentation") / "configs/inference.json")
    parser["divisible"] = 1
    sample = {"image": [str(file) for file in case.files]}
    inference = parser.get_parsed_content("preprocessing")(sample)["image"].as_tensor()
    training = torch.from_numpy(prepare_case(case, OLD)).permute(3, 0, 1, 2)[:4]
    torch.testing.assert_close(inference.half(), training)


def test_a_patch_is_a_part_of_the_case(case, store):
    whole = LoadCased("image", store, OLD)({"image": case})
    load = LoadPatchd("image", store, OLD, (16, 16, 16), tumour=0).set_random_state(0)
    patch = load({"image": case})
    windows = whole["image"].unfold(1, 16, 1).unfold(2, 16, 1).unfold(3, 16, 1)  # 4 h w d 16 16 16
    assert (windows == patch["image"][:, None, None, None]).all(dim=(0, 4, 5, 6)).any()


def test_a_stored_case_is_made_anew_for_another_convention_and_another_order_of_channels(case, store, tmp_path):
    ped = find_convention("brats2024-ped")  # 1 is enhancing tumour, 4 oedema
    for convention in (OLD, ped):
        label = LoadCased("image", store, convention)({"image": case})["label"].permute(1, 2, 3, 0).numpy()
        np.testing.assert_array_equal(label, prepare_case(case, convention)[..., 4:])
    stacked = np.stack([np.asarray(nib.load(file).dataobj) for file in case.files], axis=-1)
    nib.save(nib.Nifti1Image(stacked, LPS), tmp_path / "stacked.nii.gz")
    one, other = (
        Case("case", "case", label=case.label, stacked=tmp_path / "stacked.nii.gz", channels=channels)
        for channels in (MODALITIES, MODALITIES[::-1])
    )
    first, second = (LoadCased("image", store, OLD)({"image": each})["image"] for each in (one, other))
    torch.testing.assert_close(second, first.flip(0))


def test_tumour_patches_show_each_tissue_as_often_and_not_in_the_middle(case, store):
    load = LoadPatchd("image", store, OLD, (16, 16, 16), tumour=1).set_random_state(0)
    labels = [load({"image": case})["label"][0] for _ in range(60)]
    assert all(label.any() for label in labels)
    first = torch.stack([label.nonzero()[0] for label in labels]).float()
    assert (first.std(dim=0) > 1).all()


def test_a_patch_larger_than_the_brain_is_padded_with_background(case, store):
    patch = LoadPatchd("image", store, OLD, (48, 48, 48), tumour=0).set_random_state(0)({"image": case})
    assert patch["image"].shape == (4, 48, 48, 48)
    assert not patch["image"][:, 32:].any()


def test_the_same_state_draws_the_same_patches(case, store):
    def draw() -> list[torch.Tensor]:
        load = LoadPatchd("image", store, OLD, (16, 16, 16)).set_random_state(3)
        return [load({"image": case})["image"] for _ in range(5)]

    assert all(torch.equal(one, other) for one, other in zip(draw(), draw(), strict=True))


@pytest.mark.parametrize(
    ("size", "divisible", "enough"), [((8, 96, 96), 16, 32), ((40, 48, 48), 16, 32), ((32, 32, 32), 32, 64)]
)
def test_a_patch_that_the_network_could_not_use_is_refused(store, size, divisible, enough):
    with pytest.raises(BrainMRIError, match=f"sides that {divisible} divides, one of them from {enough}"):
        LoadPatchd("image", store, OLD, size, divisible=divisible)
    LoadPatchd("image", store, OLD, (divisible, divisible, enough), divisible=divisible)


def test_regions_overlap_and_a_cavity_is_no_tumour():
    label = torch.tensor([0, 1, 2, 3, 4]).view(1, 1, 1, 5)
    regions = ToRegionsd("label", ["TC", "WT", "ET", "RC"])({"label": label})["label"]
    expected = [[0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
    assert regions[:, 0, 0].tolist() == expected


def test_an_unknown_region_is_named():
    with pytest.raises(BrainMRIError, match="unknown region 'XX'"):
        ToRegionsd("label", ["TC", "XX"])


def test_dropped_modalities_are_zero_and_one_always_stays():
    drop = ModalityDropoutd("image", prob=0.9).set_random_state(0)
    image = torch.ones(4, 2, 2, 2)
    kept = [int(drop({"image": image})["image"].amax(dim=(1, 2, 3)).sum()) for _ in range(50)]
    assert min(kept) == 1
    assert max(kept) > 1
    assert image.all()  # the input is not changed
    image[[0, 1, 3]] = 0  # t2 alone is there
    assert all(drop({"image": image})["image"][2].all() for _ in range(50))
