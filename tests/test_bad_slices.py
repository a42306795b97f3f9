"""What a user can get wrong with single slices: told in three lines, or reported and left out; never a traceback."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from outcomes import assert_told, read
from PIL import Image

from brainmri_monai.metrics.table import read_table

BUNDLE = "brain_tumor_slice_classification"
PARTS = ("training", "validation", "test")

pytestmark = pytest.mark.usefixtures("no_slice_report")


@pytest.fixture
def train(brainmri, tiny_slices, tmp_path):
    """``brainmri run … training`` for one epoch on tiny slices, into ``tmp_path/run``."""

    def train(dataset_dir, *words):
        options = ["--epochs", 1, "--config", tiny_slices, "--output_dir", tmp_path / "run"]
        return brainmri("run", BUNDLE, "training", "--dataset_dir", dataset_dir, *options, *words)

    return train


@pytest.fixture
def data(slice_set, tmp_path) -> Path:
    """A copy of the set, to be spoiled."""
    return shutil.copytree(slice_set, tmp_path / "data")


@pytest.fixture(scope="module")
def trained(slice_set, train_slices, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brainmri_monai.report.report_slices", lambda *arguments: None)
        return train_slices(slice_set, tmp_path_factory.mktemp("runs") / "run")


# pictures -------------------------------------------------------------------------------------------------------------


def noise(seed: int = 5) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((60, 50), Image.Resampling.BICUBIC))


def truncated(folder: Path) -> Path:
    Image.fromarray(noise()).save(folder / "x.jpg")
    (folder / "x.jpg").write_bytes((folder / "x.jpg").read_bytes()[:300])
    return folder / "x.jpg"


def empty(folder: Path) -> Path:
    (folder / "x.png").write_bytes(b"")
    return folder / "x.png"


def text(folder: Path) -> Path:
    (folder / "x.png").write_text("no picture " * 9, encoding="utf-8")
    return folder / "x.png"


def animated(folder: Path) -> Path:
    frames = [Image.fromarray(noise(seed)) for seed in (1, 2, 3)]
    frames[0].save(folder / "x.gif", save_all=True, append_images=frames[1:])
    return folder / "x.gif"


def animated_under_another_name(folder: Path) -> Path:
    return animated(folder).rename(folder / "x.jpg")


def one_pixel(folder: Path) -> Path:
    Image.new("L", (1, 1)).save(folder / "x.png")
    return folder / "x.png"


def link_to_nothing(folder: Path) -> Path:
    (folder / "x.jpg").symlink_to(folder / "nowhere.jpg")
    return folder / "x.jpg"


def huge(folder: Path, side: int = 30_000) -> Path:
    """The header alone: whoever decodes it fails otherwise."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (folder / "x.png").write_bytes(parts)
    return folder / "x.png"


def strip(folder: Path) -> Path:
    Image.fromarray(noise()[:10]).save(folder / "x.png")
    return folder / "x.png"


def volume(folder: Path) -> Path:
    nib.save(nib.Nifti1Image(noise()[..., None], np.eye(4)), folder / "x.nii.gz")
    return folder / "x.nii.gz"


def old_name(folder: Path) -> Path:
    """A name in Latin 1, as archives of old have; as it is told."""
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(b"")
    return folder / "caf\\udce9.png"


BROKEN = [
    truncated,
    empty,
    text,
    animated,
    animated_under_another_name,
    one_pixel,
    link_to_nothing,
    huge,
    strip,
    old_name,
]


@pytest.mark.parametrize("spoil", [*BROKEN, volume], ids=lambda spoil: spoil.__name__)
def test_broken_picture_is_left_out_of_the_training_and_recorded(train, data, tmp_path, spoil):
    broken = spoil(data / "glioma_tumor").relative_to(data).as_posix()
    code, out, err = train(data)
    assert code == 0, err
    assert f"left out: {broken}: " in out
    datalist = read(tmp_path / "run/datalist.json")
    (excluded,) = datalist["excluded"]
    assert excluded["where"] == broken
    assert excluded["what"]
    assert excluded["remedy"]
    assert sum(len(datalist[part]) for part in PARTS) == 36


@pytest.mark.parametrize("portable", [False, True], ids=["fast", "portable"])
@pytest.mark.parametrize("spoil", BROKEN, ids=lambda spoil: spoil.__name__)
def test_broken_picture_is_reported_in_an_inference_and_the_others_go_on(trained, brainmri, tmp_path, spoil, portable):
    folder = tmp_path / "slices"
    folder.mkdir()
    broken = spoil(folder).name
    Image.fromarray(noise()).save(folder / "good.png")
    words = ["--dataset_dir", folder, "--output_dir", tmp_path / "out", *(["--portable"] if portable else [])]
    code, _, err = brainmri("run", trained, "inference", *words)
    table = read_table(tmp_path / "out/predictions.csv")
    assert "good.png" in list(table["id"])
    assert "Traceback" not in err
    assert code == 1
    assert f"failed: {broken}: " in err
    assert "1 failed, 1 predicted" in err


def cmyk(folder: Path) -> Path:
    Image.fromarray(noise()).convert("CMYK").save(folder / "x.jpg")
    return folder / "x.jpg"


def sixteen_bits(folder: Path) -> Path:
    Image.fromarray(noise().astype(np.uint16) * 257).save(folder / "x.png")
    return folder / "x.png"


def odd_name(folder: Path) -> Path:
    Image.fromarray(noise()).save(folder / "Schädel 7 (größer) 脑.PNG")
    return folder / "Schädel 7 (größer) 脑.PNG"


def palette(folder: Path) -> Path:
    Image.fromarray(noise()).convert("P").save(folder / "x.png")
    return folder / "x.png"


@pytest.mark.parametrize("make", [cmyk, sixteen_bits, odd_name, palette], ids=lambda make: make.__name__)
def test_odd_picture_is_read_as_the_plain_one(trained, brainmri, tmp_path, make):
    folder = tmp_path / "slices"
    folder.mkdir()
    odd = make(folder).name
    Image.fromarray(noise()).save(folder / "plain.png")
    code, _, err = brainmri("run", trained, "inference", "--dataset_dir", folder, "--output_dir", tmp_path / "out")
    assert code == 0, err
    table = read_table(tmp_path / "out/predictions.csv").set_index("id")
    chances = [name for name in table if name.startswith("p_")]
    np.testing.assert_allclose(table.loc[odd, chances].astype(float), table.loc["plain.png", chances], atol=0.03)


def test_picture_is_turned_as_its_exif_data_says(trained, brainmri, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    upright = Image.fromarray(noise())
    upright.save(folder / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    for words in ([], ["--portable"]):
        out = ["--output_dir", tmp_path / "out"]
        code, _, err = brainmri("run", trained, "inference", "--dataset_dir", folder, *out, *words)
        assert code == 0, err
        table = read_table(tmp_path / "out/predictions.csv").set_index("id")
        assert table.loc["plain.png"].equals(table.loc["turned.png"])


# folders --------------------------------------------------------------------------------------------------------------


def test_folder_named_as_a_picture_is_left_out(train, data, tmp_path):
    (data / "glioma_tumor/x.jpg").mkdir()
    code, out, err = train(data)
    assert code == 0, err
    assert "left out: glioma_tumor/x.jpg: a folder named as a picture" in out


def test_empty_class_is_told_and_is_no_class(train, data, tmp_path):
    (data / "lymphoma").mkdir()
    code, out, err = train(data)
    assert code == 0, err
    assert "left out: lymphoma: the folder of a class holds no picture" in out
    assert read(tmp_path / "run/datalist.json")["classes"] == ["glioma", "meningioma", "notumor", "pituitary"]


def test_class_of_another_name_is_one_of_the_users_own(train, data, tmp_path):
    (data / "pituitary_tumor").rename(data / "Lymphoma (B cell)")
    code, out, err = train(data)
    assert code == 0, err
    assert "note: classes of your own" in out
    assert "pituitary, notumor, tumor: Lymphoma (B cell)" in out
    assert "Lymphoma (B cell)" in read(tmp_path / "run/configs/inference.json")["classes"]


def test_a_picture_in_two_classes_is_left_out_of_both(train, data, tmp_path):
    shutil.copyfile(data / "glioma_tumor/0.png", data / "no_tumor/copy.png")
    code, out, err = train(data)
    assert code == 0, err
    assert "glioma_tumor/0.png = no_tumor/copy.png: the same picture, pixel for pixel, is in" in out
    datalist = read(tmp_path / "run/datalist.json")
    assert sum(len(datalist[part]) for part in PARTS) == 35


def test_two_classes_with_the_same_pictures_are_told(train, data):
    for name in ("meningioma_tumor", "no_tumor", "pituitary_tumor"):
        shutil.rmtree(data / name)
    shutil.copytree(data / "glioma_tumor", data / "no_tumor")
    assert_told(train(data), f"no slice in {data} can be used", "is in 'glioma' and 'notumor'")


def test_one_class_is_told(train, data):
    for name in ("meningioma_tumor", "no_tumor", "pituitary_tumor"):
        shutil.rmtree(data / name)
    assert_told(train(data), "two classes or more are needed", "glioma 9.\nAdd slices of another class.")


def test_folders_without_classes_are_told(train, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert_told(train(tmp_path / "nothing"), "expected a folder for each class", str(tmp_path / "nothing"))
    assert_told(train(tmp_path / "nowhere"), str(tmp_path / "nowhere"))


# options --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--groups", "patients"), "--groups is 'patients', and has to be one of twins, clusters."),
        (("--official", "true"), "there is no test or no training part"),
        (("--official", "true", "--fold", "0"), "--official or --fold, not both"),
        (("--official", "true", "--groups", "clusters"), "Leave out --official, or --groups clusters."),
        (("--test_share", "0.95"), "less than 1 together"),
        (("--test_share", "0.3", "--fold", "0"), "Leave out --validation_share and --test_share, or --fold."),
        (("--test_share", "all"), "--test_share is 'all', and has to be a number between 0 and 1."),
        (("--image_size", "3"), "--image_size is 3, and has to be a whole number of pixels, 32 to 1024."),
        (("--fold", "7"), "fold 7 asked for, of 5 folds"),
        (("--metric", "auc"), "metric 'auc' cannot choose the best epoch"),
        (("--label_smoothing", "2"), "--label_smoothing is 2, and has to be a number from 0 to below 1."),
        (("--mixup", "-1"), "--mixup is -1, and has to be a number, 0 or more."),
        (("--pretrained", "nowhere.pt"), "nowhere.pt does not exist"),
        (("--batchsize", "3"), "did you mean --batch_size?"),
        (("--new_layers", "classifier"), "--new_layers without --pretrained: all layers are new."),
        (("--lr", "1e30"), "loss became nan in epoch 1: the weights are lost"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_value_of_an_option_is_told(train, data, option, said):
    assert_told(train(data, *option), said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "found neither"),
        (["--image", "nowhere.png"], "nowhere.png does not exist"),
        (["--image", "."], "expected one slice, found a folder"),
        (["--dataset_dir", "."], "expected pictures"),
        (["--imag", "x.png"], "did you mean --image?"),
        (["--ensemble", "a.pt", "--image", "good.png"], "expected a list of checkpoints"),
    ],
    ids=" ".join,
)
def test_mistyped_inference_is_told(trained, brainmri, tmp_path, monkeypatch, words, said):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if "good.png" in words:
        Image.fromarray(noise()).save("good.png")
    assert_told(brainmri("run", trained, "inference", *words), said)


@pytest.mark.parametrize("option", ["risk", "foreign"])
def test_share_that_is_none_is_told(trained, brainmri, option):
    assert_told(
        brainmri("run", trained, "evaluate", f"--{option}", 2),
        f"--{option} is 2, and has to be a number between 0 and 1.",
    )


def test_evaluating_with_a_class_that_is_not_known_is_told(trained, brainmri, write_slice_set, tmp_path):
    other = write_slice_set(tmp_path / "other", {"glioma": 3, "lymphoma": 3}, seed=9)
    said = "also holds lymphoma"
    assert_told(brainmri("run", trained, "evaluate", "--dataset_dir", other), said)
