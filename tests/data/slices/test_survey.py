import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainmri_monai.data.check import check_patients
from brainmri_monai.data.slices.survey import SliceReport, survey_slices
from brainmri_monai.errors import BrainMRIError


@pytest.fixture
def root(tmp_path, write_classes) -> Path:
    """Two classes with four pictures each, without any fault."""
    return write_classes(tmp_path / "set", {"glioma": 4, "no_tumor": 4})


def problems(root, severity) -> dict[str, str]:
    return {p.where: p.what for p in check_patients(root).problems if p.severity == severity}


def huge_png(file: Path, side: int = 30000) -> None:
    """Write the header of a PNG of side x side grey pixels, and no pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_a_faultless_set_is_described(root):
    report = check_patients(root)
    assert isinstance(report, SliceReport)
    assert (report.exit_code, report.problems) == (0, [])
    assert report.facts == {
        "root": str(root),
        "layout": "slices",
        "official_split": False,
        "slices": 8,
        "counts": {"glioma": 4, "notumor": 4},
        "sizes": {"64 x 64": 8},
        "modes": {"RGB": 8},
        "twins": {
            "groups": 0,
            "slices": 0,
            "largest_group": 0,
            "slices_pixel_for_pixel": 0,
            "slices_only_turned_or_mirrored": 0,
        },
        "auc_without_anatomy": None,
    }


def test_the_table_is_for_people(root):
    assert check_patients(root).table().splitlines() == [
        f"{root} (layout: slices)",
        "8 slices of 2 classes; their patients are not known",
        "",
        "class    slices  without twins",
        "glioma        4              4",
        "notumor       4              4",
        "all           8              8",
        "",
        "rows x columns  64 x 64",
        "pixels          RGB",
        "",
        "not asked how well the class is told without anatomy: a class has fewer than ten groups of slices",
        "",
        "no errors, no warnings",
    ]


def test_json_holds_facts_problems_and_exit_code(root, brainmri):
    (root / "glioma" / "0.png").write_bytes(b"")
    code, out, _ = brainmri("check", root, "--json")
    content = json.loads(out)
    assert code == content["exit_code"] == 1
    assert content["counts"] == {"glioma": 3, "notumor": 4}
    assert [problem["where"] for problem in content["problems"]] == ["glioma/0.png"]


def test_all_bad_files_are_found_in_one_pass(root, picture):
    folder = root / "glioma"
    image = Image.fromarray(picture(99))
    whole = folder / "0.png"
    (folder / "cut.png").write_bytes(whole.read_bytes()[:500])
    (folder / "zero.jpg").write_bytes(b"")
    image.save(folder / "moving.gif", save_all=True, append_images=[Image.fromarray(picture(98))])
    shutil.copy(folder / "moving.gif", folder / "hidden.png")
    Image.new("L", (1, 1)).save(folder / "dot.png")
    huge_png(folder / "huge.png")
    (folder / "folder.jpg").mkdir()
    (root / "pituitary").mkdir()
    found = problems(root, "error")
    assert set(found) == {
        *(f"glioma/{name}" for name in ("cut.png", "zero.jpg", "moving.gif", "hidden.png", "dot.png", "huge.png")),
        "glioma/folder.jpg",
        "pituitary",
    }
    assert "0 bytes" in found["glioma/zero.jpg"]
    assert "it is a GIF picture" in found["glioma/hidden.png"]
    assert check_patients(root).facts["slices"] == 8, "the others go on"


def test_unusual_pixels_are_read_and_told(root, picture):
    Image.fromarray(picture(97)).convert("CMYK").save(root / "glioma" / "cmyk.jpg")
    Image.fromarray(picture(96)[..., 0].astype(np.uint16) * 256).save(root / "glioma" / "deep.png")
    assert set(problems(root, "warning")) == {"glioma/cmyk.jpg", "glioma/deep.png"}
    report = check_patients(root)
    assert (report.exit_code, report.facts["slices"]) == (0, 10)


def test_the_orientation_of_exif_data_is_applied(root, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter
    upright = Image.fromarray(picture(95)[:, :40])
    upright.rotate(90, expand=True).save(root / "glioma" / "turned.png", exif=exif)
    upright.save(root / "glioma" / "upright.png")
    report = check_patients(root)
    assert report.facts["sizes"] == {"64 x 64": 8, "64 x 40": 2}
    assert report.facts["twins"]["slices_pixel_for_pixel"] == 2


def test_an_unknown_class_is_told_and_works(root, write_classes):
    write_classes(root, {"lymphoma": 3})
    report = check_patients(root)
    assert report.classes == ("glioma", "lymphoma", "notumor")
    assert [(p.severity, p.where) for p in report.problems] == [("warning", "lymphoma")]


def test_names_with_spaces_and_other_letters(root, picture):
    Image.fromarray(picture(94)).save(root / "glioma" / "Å (1) 脳.png")
    assert check_patients(root).exit_code == 0


def test_one_picture_in_two_classes_is_an_error_and_in_neither(root):
    shutil.copy(root / "glioma" / "2.png", root / "no_tumor" / "copy.png")
    ((where, what),) = problems(root, "error").items()
    assert where == "glioma/2.png = no_tumor/copy.png"
    assert what == "the same picture, pixel for pixel, is in 'glioma' and 'notumor'"
    assert check_patients(root).facts["counts"] == {"glioma": 3, "notumor": 4}


def test_a_mirrored_picture_in_two_classes_is_a_warning(root):
    mirrored = np.asarray(Image.open(root / "glioma" / "2.png"))[:, ::-1]
    Image.fromarray(mirrored).save(root / "no_tumor" / "copy.png")
    found = problems(root, "warning")
    assert "nearly the same picture" in found["glioma/2.png = no_tumor/copy.png"]
    assert check_patients(root).exit_code == 0


def test_twins_in_one_class_are_a_warning(root):
    shutil.copy(root / "glioma" / "2.png", root / "glioma" / "copy.png")
    assert problems(root, "warning") == {".": "2 of 9 slices have twins, such as glioma/2.png = glioma/copy.png"}


def test_twins_in_the_official_training_and_test_are_an_error(tmp_path, write_classes):
    folders = {f"{part}/{label}": 3 for part in ("Training", "Testing") for label in ("glioma", "no")}
    write_classes(tmp_path, folders)
    assert check_patients(tmp_path).problems == []
    shutil.copy(tmp_path / "Training/glioma/1.png", tmp_path / "Testing/glioma/9.png")
    found = problems(tmp_path, "error")
    assert found == {"Testing/glioma/9.png = Training/glioma/1.png": "twins are in testing and in training"}
    assert check_patients(tmp_path).facts["counts"]["glioma"] == {"training": 3, "testing": 4}


def test_twins_in_two_parts_of_a_split_are_an_error(root):
    shutil.copy(root / "glioma" / "2.png", root / "glioma" / "copy.png")
    entries = {
        part: [{"id": name, "image": [name]} for name in names]
        for part, names in {"training": ["glioma/2.png"], "validation": [], "test": ["glioma/copy.png"]}.items()
    }
    content = {"root": "x", "layout": "slices", "classes": [], "split": {}, "excluded": [], **entries}
    (root / "datalist.json").write_text(json.dumps(content))
    assert problems(root, "error") == {"glioma/copy.png = glioma/2.png": "twins are in test and in training"}


def test_a_class_needs_two_slices_that_are_no_twins(root):
    for k in (1, 2, 3):
        shutil.copy(root / "glioma" / "0.png", root / "glioma" / f"{k}.png")
    assert problems(root, "error") == {"glioma": "a class needs two slices that are no twins, 'glioma' has 4 slices"}


def test_one_class_alone_is_an_error(root):
    shutil.rmtree(root / "no_tumor")
    assert problems(root, "error") == {"glioma": "a classification needs two classes, found 'glioma' alone"}


def test_a_class_told_by_its_frame_is_a_warning(tmp_path, write_classes):
    write_classes(tmp_path, {"glioma": 15, "meningioma": 15, "no": 15})
    for file in (tmp_path / "no").iterdir():
        picture = np.array(Image.open(file))
        picture[:6] = picture[-6:] = picture[:, :6] = picture[:, -6:] = 255
        Image.fromarray(picture).save(file)
    report = survey_slices(tmp_path)
    ((where, what),) = [(p.where, p.what) for p in report.problems]
    assert (where, report.exit_code) == ("notumor", 0)
    assert what.startswith("told without anatomy, AUC 1.00 (alone: ")
    assert report.facts["auc_without_anatomy"]["together"]["notumor"] == 1.0
    assert any(line.startswith("told without anatomy (AUC)") for line in report.table().splitlines())
    for file in sorted((tmp_path / "no").iterdir())[:6]:
        file.unlink()
    assert "not asked how well the class is told without anatomy" in survey_slices(tmp_path).table()


def test_patients_and_their_mistakes_are_still_told_as_such(tmp_path, write_classes):
    write_classes(tmp_path, {"glioma-g2/p1": 2, "glioma-g2/p2": 2, "meningioma": 1})
    report = check_patients(tmp_path)
    assert report.facts["layout"] == "folders"
    write_classes(tmp_path / "other", {"glioma/p1": 2})
    with pytest.raises(BrainMRIError, match="expected folders named <tumor>-g<1"):
        check_patients(tmp_path / "other")


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA does not name the folder of the real data")
def test_a_public_set_has_many_twins_and_tells_its_sources():
    report = survey_slices(Path(os.environ["BRAINMRI_DATA"]) / "tumor_slices")
    assert report.exit_code == 0
    assert report.facts["counts"] == {"glioma": 1321, "meningioma": 1339, "notumor": 1591, "pituitary": 1457}
    labels = [reading.item.label for reading in report.readings]
    assert len(list(report.twins.contradictions(labels))) == 3, "mirrored, under two labels"
    assert report.facts["twins"]["slices_pixel_for_pixel"] == 362
    assert all(len({labels[k] for k in group}) == 1 or len(group) < 20 for group in report.twins.groups()), "no chains"
    assert min(report.probe.together.values()) > 0.9
