"""Inference of the volume bundle on small cases, run as a user runs it."""

import gzip
import itertools
import json
import os
import shutil
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out
from monai.networks.nets import SegResNet
from scipy.spatial.transform import Rotation

from brainmri_monai.data.bundles import config_files, find_bundle
from brainmri_monai.networks import RegionNetwork

BUNDLE = "brats_mri_volume_segmentation"
WORDS = {"old": ("t1ce", "t1", "t2", "flair"), "new": ("t1c", "t1n", "t2w", "t2f")}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (34, 40, 30)
TOY = {"_target_": "torch.nn.Conv3d", "in_channels": 4, "out_channels": 3, "kernel_size": 1}
"""A network that looks at one voxel: TC is where T2 is bright, WT where FLAIR is, ET where T1c is."""


def read(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def distances(shape=SHAPE, affine=LPS) -> np.ndarray:
    """H W D, millimetres from a point right of, before and above the middle."""
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    middle = (np.array(shape) - 1) / 2
    return np.linalg.norm((voxels - middle) @ affine[:3, :3].T - [3, 4, 2], axis=-1)


def draw_case(shape=SHAPE, affine=LPS, seed=0) -> np.ndarray:
    """4 H W D, int16: a brain with three nested balls, each bright in one modality."""
    random = np.random.default_rng(seed)
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    half = (np.array(shape) - 1) / 2
    brain = (((voxels - half) / (half - 2)) ** 2).sum(axis=-1) < 1
    image = random.normal(100, 5, (4, *shape))
    inside = distances(shape, affine)
    for channel, radius in ((0, 3), (2, 5), (3, 7)):
        image[channel][inside < radius] += 300
    image[1][inside < 4] += 30
    return (image * brain).round().astype(np.int16)


def truth(shape=SHAPE, affine=LPS) -> np.ndarray:
    """The portable label map of such a case."""
    inside = distances(shape, affine)
    return np.select([inside < 3, inside < 5, inside < 7], [3, 1, 2], 0).astype(np.uint8)


def write_case(folder: Path, image=None, affine=LPS, words="old", label=None) -> Path:
    image = draw_case() if image is None else image
    folder.mkdir(parents=True)
    join = "-" if words == "new" else "_"
    for word, volume in zip(WORDS[words], image, strict=True):
        nib.save(nib.Nifti1Image(volume, affine), folder / f"{folder.name}{join}{word}.nii.gz")
    if label is not None:
        nib.save(nib.Nifti1Image(label, affine), folder / f"{folder.name}{join}seg.nii.gz")
    return folder


def write_toy(path: Path, threshold: float = 1.2, minimum_ml=(0.0, 0.0, 0.0)) -> Path:
    network = RegionNetwork(torch.nn.Conv3d(4, 3, 1))
    with torch.no_grad():
        network.body.weight.zero_()
        for region, modality in enumerate((2, 3, 0)):
            network.body.weight[region, modality] = 40.0
        network.body.bias.fill_(-40 * threshold)
        network.minimum_ml.copy_(torch.tensor(minimum_ml))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return path


def labels_of(out: Path, case: str) -> np.ndarray:
    return np.asarray(nib.load(out / case / f"{case}_seg.nii.gz").dataobj)


def table_of(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "predictions.csv", dtype={"id": str}).set_index("id")


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture(scope="session")
def volume_bundle() -> Path:
    return find_bundle(BUNDLE)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """The folder of the toy network's weights."""
    return write_toy(tmp_path_factory.mktemp("toy") / "model.pt").parent


@pytest.fixture(scope="module")
def segresnet(tmp_path_factory) -> Path:
    """The folder of random weights of the bundle's own network, whose answers are far from 0."""
    torch.manual_seed(0)
    network = RegionNetwork(SegResNet(3, 16, 4, 3, blocks_down=[1, 2, 2, 4], blocks_up=[1, 1, 1]))
    with torch.no_grad():
        network.body.conv_final[-1].conv.weight.mul_(50)
    folder = tmp_path_factory.mktemp("segresnet")
    torch.save(network.state_dict(), folder / "model.pt")
    return folder


@pytest.fixture
def segment(brainmri, toy, tmp_path):
    """``brainmri run … inference`` with the toy network, without pictures unless asked for, into ``tmp_path/out``."""

    def run(data: Path, *words, out: Path | None = None, weights: Path = toy, pictures=False):
        options = ["--dataset_dir", data, "--ckpt_dir", weights, "--output_dir", out or tmp_path / "out"]
        options += [] if pictures else ["--overlay", "false"]
        if (weights / "model.pt").is_file() and (weights / "model.pt").stat().st_size < 100_000:
            options += ["--network_def#body", str(TOY)]
        return brainmri("run", BUNDLE, "inference", *options, *words)

    return run


FORMS = pytest.mark.parametrize("form", [[], ["--portable"]], ids=["fast", "portable"])

# the bundle -----------------------------------------------------------------------------------------------------------


def test_inference_has_all_ids_that_monai_asks_for(volume_bundle, segresnet, tmp_path):
    write_case(tmp_path / "data/case")
    options = {"bundle_root": str(volume_bundle), "dataset_dir": str(tmp_path / "data"), "ckpt_dir": str(segresnet)}
    files = [str(file) for file in config_files(volume_bundle, "inference", portable=True)]
    workflow = ConfigWorkflow(config_file=files, workflow_type="inference", output_dir=str(tmp_path / "out"), **options)
    workflow.initialize()
    assert not workflow.check_properties()


def test_metadata_fits_its_schema(volume_bundle):
    card = read(volume_bundle / "configs/metadata.json")
    assert card["version"] in card["changelog"]
    jsonschema.validate(card, read(Path(__file__).parent / "meta_schema_20240725.json"))
    formats = card["network_data_format"]
    assert list(formats["inputs"]["image"]["channel_def"].values()) == ["T1c", "T1", "T2", "FLAIR"]
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "NCR", "2": "ED", "3": "ET"}


def test_network_takes_and_gives_what_the_metadata_says(volume_bundle):
    configs = volume_bundle / "configs"
    files = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / "inference.json")}
    verify_net_in_out(net_id="network_def", device="cpu", **files)


def test_parts_that_others_run_are_monais_alone(volume_bundle):
    inference = read(volume_bundle / "configs/inference.json")
    for part in ("preprocessing", "postprocessing", "inferer"):
        text = json.dumps(inference[part])
        assert "brainmri" not in text
        assert "engines." not in text
        assert ConfigParser(inference).get_parsed_content(part)  # without data and weights


@pytest.mark.parametrize("batch", [1, 2])
def test_eager_scripted_and_reloaded_network_agree(brainmri, segresnet, volume_bundle, tmp_path, batch):
    root = shutil.copytree(volume_bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns("models"))
    shutil.copytree(segresnet, root / "models")
    code, _, err = brainmri("run", root, "export", "--output_dir", tmp_path)
    assert code == 0, err
    network = ConfigParser(read(root / "configs/inference.json")).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(segresnet / "model.pt", weights_only=True))
    image = torch.rand(batch, 4, 16, 24, 32, generator=torch.Generator().manual_seed(batch))
    reloaded, scripted = torch.jit.load(tmp_path / "model.ts"), torch.jit.script(network)
    with torch.inference_mode():
        for other in (reloaded, scripted):
            torch.testing.assert_close(other(image), network(image), atol=1e-3, rtol=1e-4)


# the answer -----------------------------------------------------------------------------------------------------------


def turned(millimetres, degrees=(20, -10, 30)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ LPS[:3, :3] @ np.diag(millimetres)
    affine[:3, 3] = [12, -30, 55.5]
    return affine


def test_portable_and_fast_inference_agree(segment, segresnet, tmp_path):
    write_case(tmp_path / "data/BraTS20_Training_001")
    write_case(tmp_path / "data/BraTS20_Training_002", draw_case(seed=2), affine=turned((1, 1, 1)))
    coarse = turned((2, 1, 1.5))
    write_case(tmp_path / "data/BraTS20_Training_003", draw_case((24, 38, 28), coarse, seed=3), affine=coarse)
    for form in ([], ["--portable"]):
        words = form or ["--precision", "float32"]
        code, _, err = segment(tmp_path / "data", *words, weights=segresnet, out=tmp_path / f"out{len(form)}")
        assert code == 0, err
    fast, portable = table_of(tmp_path / "out0"), table_of(tmp_path / "out1")
    assert list(fast.index) == list(portable.index)
    for case in fast.index:
        ours, theirs = labels_of(tmp_path / "out0", case), labels_of(tmp_path / "out1", case)
        assert len(np.unique(theirs)) == 4
        assert (ours != theirs).mean() < 1e-4, case
    np.testing.assert_allclose(fast["wt_ml"], portable["wt_ml"], rtol=1e-3)


@FORMS
def test_answer_lies_on_the_grid_of_the_input_for_every_orientation(segment, tmp_path, form):
    base = [nib.Nifti1Image(volume, LPS) for volume in draw_case()]
    straight = nib.orientations.io_orientation(LPS)
    codes = ["".join(code) for axes in itertools.permutations(("RL", "AP", "SI")) for code in itertools.product(*axes)]
    assert len(codes) == 48
    for code in codes:
        change = nib.orientations.ornt_transform(straight, nib.orientations.axcodes2ornt(code))
        images = [image.as_reoriented(change) for image in base]
        write_case(tmp_path / f"data/{code}", [np.asarray(i.dataobj) for i in images], images[0].affine)
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 0, err
    for code in codes:
        found = nib.load(tmp_path / f"out/{code}/{code}_seg.nii.gz")
        source = nib.load(tmp_path / f"data/{code}/{code}_flair.nii.gz")
        np.testing.assert_array_equal(found.affine, source.affine)
        back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt(code), straight)
        np.testing.assert_array_equal(np.asarray(found.as_reoriented(back).dataobj), truth(), err_msg=code)


@FORMS
@pytest.mark.parametrize("affine", [turned((1, 1, 1)), np.diag([2.0, 2, 2, 1]), turned((1, 1, 2)), turned((0.8,) * 3)])
def test_oblique_and_coarse_volumes_are_answered_on_their_own_grid(segment, tmp_path, affine, form):
    write_case(tmp_path / "data/case", draw_case(affine=affine), affine)
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 0, err
    found = nib.load(tmp_path / "out/case/case_seg.nii.gz")
    np.testing.assert_allclose(found.affine, affine, atol=1e-5)
    assert found.get_data_dtype() == np.uint8
    expected = truth(affine=affine)
    for values in ((1, 2, 3), (1, 3)):
        assert dice(np.isin(found.dataobj, values), np.isin(expected, values)) > 0.85
    row = table_of(tmp_path / "out").loc["case"]
    volume = (np.asarray(found.dataobj) > 0).sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    assert row["wt_ml"] == pytest.approx(volume, rel=1e-4)


@pytest.mark.parametrize(
    ("case", "words", "label", "options", "values"),
    [
        ("BraTS20_Training_001", "old", None, [], (1, 2, 4)),
        ("BraTS-GLI-00005-100", "new", None, [], (1, 2, 3)),
        ("BraTS20_Training_001", "old", None, ["--label_values", "portable"], (1, 2, 3)),
        ("BraTS-PED-00005-000", "new", None, [], (1, 2, 3)),  # two conventions: the portable values
        ("BraTS-PED-00005-000", "new", 3, [], (1, 2, 3)),  # also where there are labels
        ("BraTS-PED-00005-000", "new", None, ["--convention", "brats2024-ped"], (2, 4, 1)),
        ("case", "old", 4, [], (1, 2, 4)),  # what the labels beside it say
    ],
)
def test_label_values_are_those_of_the_data_set(segment, tmp_path, case, words, label, options, values):
    given = None if label is None else np.where(truth() == 3, label, truth()).astype(np.uint8)
    write_case(tmp_path / "data" / case, words=words, label=given)
    code, out, err = segment(tmp_path / "data", *options)
    assert code == 0, err
    expected = np.zeros(4, dtype=np.uint8)
    expected[1:] = values
    np.testing.assert_array_equal(labels_of(tmp_path / "out", case), expected[truth()])
    if case.startswith("BraTS-PED") and not options:
        assert "1 NCR, 2 ED, 3 ET, since" in out
        assert table_of(tmp_path / "out").loc[case, "convention"] == "portable"


@FORMS
def test_one_file_with_all_modalities_is_reordered(segment, tmp_path, form):
    image = draw_case()[[3, 1, 0, 2]]  # FLAIR, T1, T1 after contrast, T2
    folder = tmp_path / "Task01/imagesTr"
    folder.mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.moveaxis(image, 0, -1), LPS), folder / "BRATS_001.nii.gz")
    code, _, err = segment(tmp_path / "Task01", *form)
    assert code == 0, err
    expected = np.array([0, 2, 1, 3])[truth()]  # MSD: 1 ED, 2 NET
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "BRATS_001"), expected)
    assert labels_of(tmp_path / "out", "BRATS_001").shape == SHAPE


def test_table_tells_what_was_found(segment, tmp_path):
    write_case(tmp_path / "data/BraTS20_Training_001")
    plain = (draw_case() > 0) * (90 + 20 * (np.indices(SHAPE).sum(axis=0) % 2)).astype(np.int16)  # as noise: z is ±1
    write_case(tmp_path / "data/BraTS20_Training_002", plain)
    code, _, err = segment(tmp_path / "data", pictures=True)
    assert code == 0, err
    table = table_of(tmp_path / "out")
    columns = ["pred", "confidence", "decision", "tc_ml", "wt_ml", "et_ml", "convention", "seconds"]
    assert list(table.columns) == columns
    assert list(table["pred"]) == ["TC+WT+ET", "none"]
    found = truth()
    expected = [(found == 1).sum() + (found == 3).sum(), (found > 0).sum(), (found == 3).sum()]
    np.testing.assert_allclose(
        table.loc["BraTS20_Training_001", ["tc_ml", "wt_ml", "et_ml"]].astype(float) * 1000, expected
    )
    assert table["confidence"].between(0.9, 1).all()
    for case in table.index:
        assert (tmp_path / f"out/{case}/{case}_overlay.png").stat().st_size > 5000


# ensembles, flips, uncertainty, clean-up ------------------------------------------------------------------------------


def test_ensemble_is_the_mean_of_the_probabilities(segment, tmp_path):
    """One of two votes is a mean of one half at most, where nothing is found; two of three are found."""
    write_case(tmp_path / "data/case")
    one, none = str(write_toy(tmp_path / "one/model.pt")), str(write_toy(tmp_path / "none/model.pt", 1000))
    for members, expected in (([one, one], truth()), ([one, none], 0 * truth()), ([none, one, one], truth())):
        code, _, err = segment(tmp_path / "data", "--ensemble", str(members))
        assert code == 0, err
        np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), expected)


def test_flips_change_nothing_for_a_network_that_does_not_mind_them(segment, tmp_path):
    write_case(tmp_path / "data/case")
    code, _, err = segment(tmp_path / "data", "--flips", "--uncertainty")
    assert code == 0, err
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), truth())
    row = table_of(tmp_path / "out").loc["case"]
    for region in ("tc", "wt", "et"):
        assert row[f"{region}_ml_low"] == row[f"{region}_ml"] == row[f"{region}_ml_high"]


def test_uncertainty_of_an_ensemble_that_disagrees(segment, tmp_path):
    write_case(tmp_path / "data/case")
    one, none = write_toy(tmp_path / "one/model.pt"), write_toy(tmp_path / "none/model.pt", 1000)
    code, _, err = segment(tmp_path / "data", "--uncertainty", "--ensemble", str([str(one), str(none)]))
    assert code == 0, err
    row = table_of(tmp_path / "out").loc["case"]
    assert row["wt_ml_low"] == 0
    assert row["wt_ml_high"] == pytest.approx((truth() > 0).sum() / 1000)
    entropy = nib.load(tmp_path / "out/case/case_entropy.nii.gz")
    np.testing.assert_array_equal(entropy.affine, LPS)
    values = np.asarray(entropy.dataobj)
    assert values.shape == SHAPE
    np.testing.assert_allclose(values[truth() == 3], np.log(2), atol=1e-3)  # one half, in each region
    np.testing.assert_allclose(values[truth() == 2], np.log(2) / 3, atol=1e-3)
    np.testing.assert_allclose(values[truth() == 0], 0, atol=1e-3)


def test_components_below_the_fitted_minimum_are_dropped(segment, tmp_path):
    image = draw_case()
    image[3, 8:10, 24, 15] += 300  # 2 voxels of FLAIR
    image[3, 8:12, 28, 15] += 300  # 4 voxels
    write_case(tmp_path / "data/case", image)
    weights = write_toy(tmp_path / "weights/model.pt", minimum_ml=(0.0, 0.003, 5.0)).parent
    code, _, err = segment(tmp_path / "data", weights=weights)
    assert code == 0, err
    expected = truth()
    expected[expected == 3] = 1  # the ball of enhancing tumour has less than 5 ml, and is a part of the core
    expected[8:12, 28, 15] = 2
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), expected)


# cohorts --------------------------------------------------------------------------------------------------------------


def truncated(folder: Path) -> None:
    file = folder / f"{folder.name}_t2.nii.gz"
    file.write_bytes(file.read_bytes()[:-3000])


def other_shape(folder: Path) -> None:
    nib.save(nib.Nifti1Image(draw_case()[0][:-1], LPS), folder / f"{folder.name}_t2.nii.gz")


def other_place(folder: Path) -> None:
    moved = LPS.copy()
    moved[0, 3] += 2
    nib.save(nib.Nifti1Image(draw_case()[0], moved), folder / f"{folder.name}_t2.nii.gz")


def five_axes(folder: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8, 1, 2), np.int16), LPS), folder / f"{folder.name}_t2.nii.gz")


def with_nan(folder: Path) -> None:
    image = draw_case()[2].astype(np.float32)
    image[17, 20, 15] = np.nan
    nib.save(nib.Nifti1Image(image, LPS), folder / f"{folder.name}_t2.nii.gz")


def empty_modality(folder: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), LPS), folder / f"{folder.name}_t2.nii.gz")


def enormous(folder: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((10000, 10000, 10000))
    header.set_sform(LPS, 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    (folder / f"{folder.name}_t2.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))


def missing(folder: Path) -> None:
    (folder / f"{folder.name}_t2.nii.gz").unlink()


def doubled(folder: Path) -> None:
    file = folder / f"{folder.name}_t2.nii.gz"
    shutil.copy(file, folder / f"{folder.name}_T2w.nii.gz")


BROKEN = {
    "truncated": (truncated, "_t2.nii.gz"),
    "other_shape": (other_shape, "expected the shape"),
    "other_place": (other_place, "2 mm from where"),
    "five_axes": (five_axes, "3 axes"),
    "with_nan": (with_nan, "NaN"),
    "empty_modality": (empty_modality, "t2 is empty"),
    "enormous": (enormous, "(10000, 10000, 10000)"),
    "missing": (missing, "lacks t2"),
    "doubled": (doubled, "two files for one thing"),
}


@FORMS
def test_broken_cases_are_told_and_the_others_go_on(segment, tmp_path, form):
    write_case(tmp_path / "data/good one")
    for name, (spoil, _) in BROKEN.items():
        spoil(write_case(tmp_path / "data" / name))
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 1, err
    assert "Traceback" not in err
    for name, (_, said) in BROKEN.items():
        (line,) = [line for line in err.splitlines() if line.startswith(f"failed: {name}: ")]
        if not (form and name == "truncated"):  # MONAI's reader does not name the file
            assert said in line
    assert f"{len(BROKEN)} failed, 1 segmented" in err
    assert list(table_of(tmp_path / "out").index) == ["good one"]
    np.testing.assert_array_equal(np.asarray(labels_of(tmp_path / "out", "good one")) > 0, truth() > 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good one", "predictions.csv"]


@FORMS
def test_odd_but_sound_cases_are_segmented(segment, tmp_path, form):
    moved = LPS.copy()
    moved[:3, 3] += 1e-8
    root = tmp_path / "Bilder für Köln 脑"
    write_case(root / "negative", draw_case() - np.int16(3) * (draw_case() == 0))
    bright = draw_case()
    bright[:, 20, 20, 15] = 32767
    write_case(root / "bright", bright)
    folder = write_case(root / "rounded")
    nib.save(nib.Nifti1Image(draw_case()[2], moved), folder / "rounded_t2.nii.gz")
    folder = write_case(root / "in folders")
    for file in list(folder.iterdir()):
        inner = folder / file.name.removesuffix(".gz")
        inner.mkdir()
        file.rename(inner / "volume.nii.gz")
    folder = write_case(root / "fourth axis of one")
    for number, file in enumerate(sorted(folder.iterdir())):
        image = nib.load(file)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., None], LPS), file)
        assert number < 4
    code, _, err = segment(root, *form)
    assert code == 0, err
    assert len(table_of(tmp_path / "out")) == 5
    for case in ("rounded", "in folders", "fourth axis of one"):
        assert labels_of(tmp_path / "out", case).shape[:3] == SHAPE
        np.testing.assert_array_equal(labels_of(tmp_path / "out", case) > 0, truth() > 0)


@FORMS
def test_missing_modality_is_allowed_on_request(segment, tmp_path, form):
    missing(write_case(tmp_path / "data/BraTS20_Training_001"))
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 2
    assert "lacks t2" in err
    code, _, err = segment(tmp_path / "data", "--allow_missing", *form)
    assert code == 0, err
    row = table_of(tmp_path / "out").loc["BraTS20_Training_001"]
    found = labels_of(tmp_path / "out", "BraTS20_Training_001")
    np.testing.assert_array_equal(found == 4, truth() == 3)  # T1c is in its own place
    np.testing.assert_array_equal(found == 2, (truth() != 3) & (truth() > 0))  # without T2 there is no core around it
    assert row["pred"] == "TC+WT+ET"


@FORMS
def test_finished_cases_are_not_done_again(segment, toy, tmp_path, form):
    for name in ("a", "b"):
        write_case(tmp_path / "data" / name)
    files = [tmp_path / f"out/{name}/{name}_seg.nii.gz" for name in ("a", "b")]

    def run(*words, weights=toy) -> list[bool]:
        """Which of the two was done."""
        for file in files:
            if file.exists():
                os.utime(file, ns=(1, 1))
        code, _, err = segment(tmp_path / "data", *form, *words, weights=weights)
        assert code == 0, err
        assert list(table_of(tmp_path / "out").index) == ["a", "b"]
        return [file.stat().st_mtime_ns != 1 for file in files]

    assert run() == [True, True]
    assert run() == [False, False]
    files[1].unlink()
    assert run() == [False, True]
    os.utime(tmp_path / "data/a/a_flair.nii.gz")  # copied anew
    assert run() == [True, False]
    (tmp_path / "out/a/a.json").write_text("{", encoding="utf-8")
    assert run() == [True, False]
    assert run(weights=write_toy(tmp_path / "other/model.pt", 1.1).parent) == [True, True]
    assert run("--label_values", "portable") == [True, True]


@FORMS
def test_full_disk_leaves_no_half_file(segment, tmp_path, monkeypatch, form):
    write_case(tmp_path / "data/case")

    def save(image, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib, "save", save)
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 2
    message = err[err.index("error: ") :]
    assert "No space left on device" in message
    assert "case_seg.nii.gz" in message
    assert len(message.splitlines()) <= 3
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("folder", ["data", "data/out"])
def test_results_among_the_data_are_refused(segment, tmp_path, folder):
    write_case(tmp_path / "data/case", label=truth())
    code, _, err = segment(tmp_path / "data", out=tmp_path / folder)
    assert code == 2
    assert "would lie among the data" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--label_values", "brats2020"], "label_values 'brats2020' is not one of auto, portable"),
        (["--roi_size", "[100,96,96]"], "each divisible by 16"),
        (["--roi_size", "[96,96]"], "three sides"),
        (["--ensemble", "a/model.pt"], "expected a list of checkpoints"),
        (["--regions", "['TC','WT','XX']"], "unknown region 'XX'"),
        (["--convention", "bratsgoat"], "did you mean 'brats-goat'?"),
    ],
)
def test_mistakes_in_options_are_told(segment, tmp_path, words, said):
    write_case(tmp_path / "data/case")
    code, _, err = segment(tmp_path / "data", *words)
    assert code == 2, err
    message = err[err.index("error: ") :]
    assert said in message
    assert len(message.splitlines()) <= 3


@FORMS
def test_monais_runner_does_the_same(monai_bundle, volume_bundle, toy, tmp_path, form):
    write_case(tmp_path / "data/BraTS20_Training_001")
    files = "configs/inference.json" if form else "['configs/inference.json','configs/fast.json']"
    options = {"dataset_dir": tmp_path / "data/BraTS20_Training_001", "output_dir": tmp_path / "out", "ckpt_dir": toy}
    options["network_def#body"] = json.dumps(TOY)
    done = monai_bundle(volume_bundle, "run", "inference", config_file=files, **options)
    assert done.returncode == 0, done.stderr
    expected = np.array([0, 1, 2, 4])[truth()]
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "BraTS20_Training_001"), expected)
    assert (tmp_path / "out/BraTS20_Training_001/BraTS20_Training_001_overlay.png").is_file()


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA names no folder with brats_tcga")
def test_real_patients_are_answered_on_their_grid(segment, tmp_path):
    root = Path(os.environ["BRAINMRI_DATA"]) / "brats_tcga"
    weights = write_toy(tmp_path / "weights/model.pt", 1.5).parent
    state = torch.load(weights / "model.pt", weights_only=True)
    state["body.bias"][[0, 2]] = -1000  # FLAIR alone
    torch.save(state, weights / "model.pt")
    code, _, err = segment(root, weights=weights, pictures=True)
    assert code == 0, err
    for case in ("TCGA-DU-7294", "TCGA-FG-6692"):
        found, flair = (
            nib.load(file)
            for file in (tmp_path / f"out/{case}/{case}_seg.nii.gz", root / f"{case}/{case}_flair.nii.gz")
        )
        np.testing.assert_array_equal(found.affine, flair.affine)
        whole = np.asarray(found.dataobj) > 0
        images = [np.asarray(nib.load(file).dataobj) for file in root.glob(f"{case}/*_[tf][1-2l]*.nii.gz")]
        assert len(images) == 4
        assert not whole[~np.any(images, axis=0)].any()
        label = np.asarray(nib.load(root / f"{case}/{case}_seg.nii.gz").dataobj) > 0
        assert dice(whole, label) > 0.3  # the tumour is bright in FLAIR
