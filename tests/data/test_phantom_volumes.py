import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.ndimage import label as components

from brainmri_monai.cli import main
from brainmri_monai.data.brats.cases import Case, CaseSet, find_volumes
from brainmri_monai.data.brats.labels import to_portable, to_regions
from brainmri_monai.data.brats.survey import survey_volumes
from brainmri_monai.data.brats.volumes import read_case, read_label
from brainmri_monai.data.phantom import generate_volumes
from brainmri_monai.data.phantom.anatomy import Grid
from brainmri_monai.data.phantom.gliomas import PLANS
from brainmri_monai.data.phantom.tumour import Lesion, push_aside
from brainmri_monai.data.phantom.volumes import LAYOUTS
from brainmri_monai.errors import BrainMRIError

CASES = 2 * len(PLANS)
SPACING = 4.0


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> CaseSet:
    folder = tmp_path_factory.mktemp("phantom") / "volumes"
    generate_volumes(folder, cases=CASES, seed=1, convention="brats2020", spacing=SPACING)
    return find_volumes(folder)


@pytest.fixture(scope="module")
def labels(found) -> dict[str, np.ndarray]:
    """Portable label maps: 1 NCR, 2 ED, 3 ET."""
    return {case.id: to_portable(read_label(case, found.convention), found.convention) for case in found.cases}


def brain_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    image, _ = read_case(case)
    return image, (image != 0).all(axis=0)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def digest(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_seed_gives_the_same_bytes(tmp_path):
    for name, seed in [("one", 5), ("same", 5), ("other", 6)]:
        generate_volumes(tmp_path / name, cases=1, seed=seed, spacing=SPACING)
    one, same, other = (digest(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert not set(one.values()) & set(other.values())


def test_the_first_cases_do_not_depend_on_how_many_follow(tmp_path):
    generate_volumes(tmp_path / "few", cases=1, seed=5, spacing=SPACING)
    generate_volumes(tmp_path / "more", cases=2, seed=5, spacing=SPACING)
    few, more = digest(tmp_path / "few"), digest(tmp_path / "more")
    del few["dataset.json"]
    assert few.items() <= more.items()


@pytest.mark.parametrize("convention", LAYOUTS)
def test_each_convention_is_recognised_by_names_and_values(tmp_path, convention):
    generate_volumes(tmp_path / "set", cases=1, seed=2, convention=convention, spacing=SPACING)
    report = survey_volumes(tmp_path / "set")
    assert report.convention.name == convention
    assert not report.problems
    (case,) = find_volumes(tmp_path / "set").cases
    assert set(case.modalities) == {"t1c", "t1", "t2", "flair"}
    assert set(np.unique(read_label(case))) == {0, *report.convention.labels}


def test_the_same_case_lies_under_every_convention(tmp_path):
    cases = {}
    for name in ("brats2023", "msd"):
        generate_volumes(tmp_path / name, cases=1, seed=2, convention=name, spacing=SPACING)
        found = find_volumes(tmp_path / name)
        cases[name] = (*read_case(found.cases[0]), to_portable(read_label(found.cases[0]), found.convention))
    for one, other in zip(*cases.values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_msd_lists_its_cases_and_channels(tmp_path):
    generate_volumes(tmp_path / "set", cases=1, convention="msd", spacing=SPACING)
    described = json.loads((tmp_path / "set/dataset.json").read_text())
    assert described["modality"] == {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    assert described["training"] == [{"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}]
    assert all((tmp_path / "set" / file).is_file() for file in described["training"][0].values())


def test_grades_are_in_the_name_mapping(found):
    assert {case.grade for case in found.cases} == {"HGG", "LGG"}


def test_volumes_lie_as_those_of_brats_do(tmp_path):
    generate_volumes(tmp_path / "set", cases=1, spacing=2)
    for file in tmp_path.rglob("*.nii.gz"):
        volume = nib.load(file)
        assert volume.shape == (120, 120, 78)
        assert nib.aff2axcodes(volume.affine) == ("L", "P", "S")
        np.testing.assert_array_equal(volume.affine[:3, 3], [0, 239, 0])
        assert volume.get_data_dtype() == (np.uint8 if "seg" in file.name else np.int16)


def test_intensities_are_on_a_scale_of_their_own_in_each_case(found):
    medians = []
    for case in found.cases:
        image, brain = brain_of(case)
        assert image.min() == 0
        medians.append(np.median(image[:, brain], axis=1))
    assert (np.max(medians, axis=0) > 2 * np.min(medians, axis=0)).all()


def test_regions_are_nested(found, labels):
    for case in found.cases:
        names = list(found.convention.regions)
        regions = dict(zip(names, to_regions(read_label(case), found.convention), strict=True))
        assert not (regions["ET"] & ~regions["TC"]).any()
        assert not (regions["TC"] & ~regions["WT"]).any()
        assert regions["TC"].any()
        assert (regions["WT"] & ~regions["TC"]).any()


def test_tumours_lie_in_the_brain_and_have_likely_sizes(found, labels):
    assert len(found.cases) == CASES
    for case in found.cases:
        assert not ((labels[case.id] > 0) & ~brain_of(case)[1]).any()
        assert 1 < np.count_nonzero(labels[case.id]) * SPACING**3 / 1000 < 120


def test_some_cases_do_not_enhance_and_some_have_several_lesions(labels):
    enhancing = [3 in label for label in labels.values()]
    lesions = []
    for label in labels.values():
        numbered, _ = components(label > 0, np.ones((3, 3, 3)))
        lesions.append(np.count_nonzero(np.bincount(numbered.ravel())[1:] * SPACING**3 > 500))  # 0.5 ml
    assert 0.5 < np.mean(enhancing) < 1
    assert np.count_nonzero(np.array(lesions) > 1) in range(1, CASES // 2)


def test_oedema_lies_around_the_core(labels):
    """Elsewhere the core reaches the cortex or a ventricle."""
    shares = []
    for label in labels.values():
        core = (label == 1) | (label == 3)
        shell = binary_dilation(core) & ~core
        shares.append(np.mean(label[shell] == 2))
    assert min(shares) > 0.25
    assert np.median(shares) > 0.5


def test_tissues_have_their_contrast_in_each_modality(found, labels):
    """Relative to healthy white matter, which is what is brightest in T1, over all cases."""
    ratios = {1: [], 2: [], 3: []}
    for case in found.cases:
        image, brain = brain_of(case)
        healthy = brain & (labels[case.id] == 0)
        white = np.median(image[:, healthy & (image[1] > np.percentile(image[1][healthy], 70))], axis=1)
        for value, collected in ratios.items():
            if np.count_nonzero(labels[case.id] == value) > 10:
                collected.append(np.median(image[:, labels[case.id] == value], axis=1) / white)
    necrosis, oedema, enhancing = (np.median(ratios[value], axis=0) for value in (1, 2, 3))
    t1c, t1, t2, flair = range(4)
    assert enhancing[t1c] > 1.2 > enhancing[t1]
    assert necrosis[t1c] < 0.9
    assert necrosis[t2] > 1.3
    assert oedema[t1] < 1
    assert oedema[t2] > 1.2
    assert oedema[flair] > 1.15


def test_fluid_is_bright_in_t2_and_dark_in_flair_and_t1(found, labels):
    for case in found.cases:
        image, brain = brain_of(case)
        healthy = brain & (labels[case.id] == 0)
        fluid = healthy & (image[2] > np.percentile(image[2][healthy], 97))
        for dark in (1, 3):
            assert np.median(image[dark][fluid]) < 0.75 * np.median(image[dark][healthy])


def test_no_threshold_of_flair_segments_the_tumour(found, labels):
    """The best threshold, chosen for each case by its truth, is far from nothing and far from enough."""
    scores = []
    for case in found.cases:
        flair = read_case(case)[0][3]
        thresholds = np.percentile(flair[flair > 0], np.linspace(50, 99.9, 60))
        scores.append(max(dice(flair > threshold, labels[case.id] > 0) for threshold in thresholds))
    assert 0.3 < np.mean(scores) < 0.8


def test_a_lesion_pushes_the_brain_outward():
    grid = Grid((41, 41, 41), (2.0, 2.0, 2.0))
    still = np.stack(np.broadcast_arrays(*grid.axes()))
    lesion = Lesion(np.zeros(3), 15.0, np.eye(3), {})
    came_from = np.linalg.norm(push_aside(grid, still, lesion), axis=0)
    distance = np.linalg.norm(still, axis=0)
    at_border, far = abs(distance - 15) < 1, distance > 35
    assert np.mean(distance[at_border] - came_from[at_border]) > 2
    assert np.max(abs(distance - came_from)[far]) < 1


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("brainmri_monai.data.phantom.volumes._write_volume", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate_volumes(tmp_path / "new", cases=1, spacing=6)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BrainMRIError, match="new or empty"):
        generate_volumes(tmp_path, cases=1)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cases": 0}, "at least 1 case, got 0"),
        ({"convention": "ucsf-pdgm"}, "'ucsf-pdgm'"),
        ({"spacing": 0.1}, "from 1 to 6 mm, got 0.1"),
        ({"spacing": float("nan")}, "from 1 to 6 mm, got nan"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, options, said):
    with pytest.raises(BrainMRIError, match=said):
        generate_volumes(tmp_path / "new", **options)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_cases(tmp_path, capsys):
    words = ["--cases", "1", "--seed", "3", "--convention", "msd", "--spacing", "6"]
    assert main(["phantom", "volumes", str(tmp_path / "set"), *words]) == 0
    assert "1 generated cases" in capsys.readouterr().out
    assert find_volumes(tmp_path / "set").convention.name == "msd"


@pytest.mark.parametrize("words", [["volumes", "--patients", "3"], ["patients", "--cases", "3"]])
def test_an_option_of_the_other_kind_is_refused(tmp_path, capsys, words):
    kind, *options = words
    with pytest.raises(SystemExit):
        main(["phantom", kind, str(tmp_path / "set"), *options])
    assert f"unrecognized arguments: {' '.join(options)}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
