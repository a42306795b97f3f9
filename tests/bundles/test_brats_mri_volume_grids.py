"""The answer of the volume bundle lies where the input does, in the values of its data set."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from toy_volumes import (
    LPS,
    SHAPE,
    TOY,
    dice,
    distances,
    draw_case,
    labels_of,
    table_of,
    truth,
    turned,
    write_case,
    write_toy,
)

FORMS = pytest.mark.parametrize("form", [[], ["--portable"]], ids=["fast", "portable"])


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


SEEN_IN = {"TC": 2, "WT": 3, "ET": 0, "RC": 1}  # channel of the toy network for each region
PAINTED = {"WT": (7, 2), "TC": (5, 1), "ET": (3, 3), "RC": (2, 4)}  # its radius and value, the outer ones first


@FORMS
@pytest.mark.parametrize("regions", [["TC", "WT", "ET", "RC"], ["RC", "WT"], ["ET"]])
def test_the_regions_of_the_network_are_those_of_the_answer(segment, tmp_path, form, regions):
    image = draw_case()
    image[1] += 3000 * (distances() < 2)
    write_case(tmp_path / "data/case", image)
    weights = write_toy(tmp_path / "toy/model.pt", modalities=[SEEN_IN[name] for name in regions]).parent
    words = ["--regions", regions, "--network_def#body", TOY | {"out_channels": len(regions)}, *form]
    code, _, err = segment(tmp_path / "data", *words, weights=weights)
    assert code == 0, err
    expected = np.zeros(SHAPE, np.uint8)
    for name in (name for name in PAINTED if name in regions):
        radius, value = PAINTED[name]
        expected[distances() < radius] = value
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), expected)
    assert set(table_of(tmp_path / "out").loc["case", "pred"].split("+")) == set(regions)


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
