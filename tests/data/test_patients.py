import numpy as np
import pytest

from brainmri_monai.data.patients import find_cases, find_patients, natural, scan_patients
from brainmri_monai.errors import BrainMRIError


def touch(root, *names) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(patient) -> list[str]:
    return [file.name for file in patient.image]


def labels(found) -> list[tuple]:
    return [(patient.id, patient.type, patient.grade) for patient in found.patients]


def only_problem(found):
    (problem,) = found.problems
    assert problem.severity == "error"
    return problem


# Folders


def test_folders_give_type_and_grade(tmp_path):
    touch(tmp_path, "Astrocytoma-G2/p1/1.jpg", "oligo_g3/p2/1.png", "Diffuse Glioma-g4/Jürgen Ä/1.TIF")
    found = find_patients(tmp_path)
    assert found.layout == "folders"
    assert found.problems == []
    assert labels(found) == [("p1", "astrocytoma", 2), ("Jürgen Ä", "diffuse glioma", 4), ("p2", "oligo", 3)]
    assert all(file.is_absolute() for patient in found.patients for file in patient.image)


def test_slices_are_in_natural_order(tmp_path):
    touch(tmp_path, *(f"a-g2/p/slice {k}.jpg" for k in (10, 9, 1, 2, 100)))
    assert names(find_patients(tmp_path).patients[0]) == [f"slice {k}.jpg" for k in (1, 2, 9, 10, 100)]


def test_natural_order_by_hand():
    assert sorted(["b2", "B10", "a", "b02", "b1.5", "2", "10"], key=natural) == [
        "2",
        "10",
        "a",
        "b1.5",
        "b02",
        "b2",
        "B10",
    ]


def test_hidden_files_and_those_of_operating_systems_are_ignored(tmp_path):
    touch(
        tmp_path,
        "a-g2/p/1.jpg",
        "a-g2/p/._1.jpg",
        "a-g2/p/Thumbs.db",
        "a-g2/.DS_Store",
        ".git/x",
        "__MACOSX/a-g2/p/1.jpg",
    )
    touch(tmp_path, "a-g2/p/notes.txt")
    found = find_patients(tmp_path)
    assert found.problems == []
    assert names(found.patients[0]) == ["1.jpg"]


def test_a_volume_a_dicom_folder_and_exported_subfolders_are_images(tmp_path, write_dicom):
    touch(tmp_path, "a-g2/p1/t1.NII.GZ", "a-g2/p3/study/series 1/1.jpg", "a-g2/p4.nii")
    write_dicom(tmp_path / "a-g2/p2/study/series", np.zeros((8, 8, 2), dtype=np.int16), np.eye(4))
    found = find_patients(tmp_path)
    assert found.problems == []
    images = {patient.id: patient.image for patient in found.patients}
    root = tmp_path.resolve() / "a-g2"
    assert images == {
        "p1": (root / "p1/t1.NII.GZ",),
        "p2": (root / "p2/study/series",),
        "p3": (root / "p3/study/series 1/1.jpg",),
        "p4": (root / "p4.nii",),
    }


@pytest.mark.parametrize("name", ["astrocytoma", "astrocytoma-g", "g2", "astrocytoma-g2 new"])
def test_a_folder_without_a_grade_is_a_problem(tmp_path, name):
    touch(tmp_path, "a-g2/p/1.jpg", f"{name}/q/1.jpg")
    found = find_patients(tmp_path)
    assert [patient.id for patient in found.patients] == ["p"]
    assert repr(name) in only_problem(found).what


@pytest.mark.parametrize("grade", ["0", "5", "12"])
def test_a_grade_that_does_not_exist_is_a_problem(tmp_path, grade):
    touch(tmp_path, "a-g2/p/1.jpg", f"a-g{grade}/q/1.jpg")
    found = find_patients(tmp_path)
    assert [patient.id for patient in found.patients] == ["p"]
    what = f"a grade is 1, 2, 3 or 4, the folder 'a-g{grade}' says {grade}; patients left out: 1"
    assert only_problem(found).what == what


def test_a_patient_without_slices_is_a_problem(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg", "a-g2/q/readme.txt")
    (tmp_path / "a-g2/r").mkdir()
    problems = find_patients(tmp_path).problems
    assert [(problem.patient, problem.where) for problem in problems] == [("q", "a-g2/q"), ("r", "a-g2/r")]
    assert problems[0].what == "a patient without slices: found 'readme.txt'"
    assert problems[1].what == "the folder of a patient is empty"


def test_a_link_that_leads_to_nothing_is_not_left_out_in_silence(tmp_path):
    touch(tmp_path, "a-g2/p/1.png", "a-g2/q/1.png")
    (tmp_path / "a-g2/p/2.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "a-g2/r").symlink_to(tmp_path / "gone")
    found = find_patients(tmp_path)
    assert [len(patient.image) for patient in found.patients] == [2, 1]  # and reading the second slice fails
    assert (only_problem(found).where, only_problem(found).what) == ("a-g2/r", "the link leads to nothing")
    (tmp_path / "b-g2").symlink_to(tmp_path / "gone")
    assert [problem.where for problem in find_patients(tmp_path).problems] == ["a-g2/r", "b-g2"]
    assert [problem.where for problem in find_cases(tmp_path / "a-g2").problems] == ["r"]


def test_folders_of_images_beside_a_patients_slices_are_not_left_out_in_silence(tmp_path):
    touch(tmp_path, "a-g2/p/preview.jpg", "a-g2/p/axial/1.jpg", "a-g2/p/notes/read.me", "a-g2/q/study/1.jpg")
    touch(tmp_path, "a-g2/r/1.dcm", "a-g2/r/axial/1.dcm", "a-g2/s.nii.gz")
    found = find_patients(tmp_path)
    assert [names(patient) for patient in found.patients] == [["preview.jpg"], ["1.jpg"], ["r"], ["s.nii.gz"]]
    assert [(problem.severity, problem.where) for problem in found.problems] == [
        ("warning", "a-g2/p"),
        ("warning", "a-g2/r"),
    ]
    assert {problem.what for problem in found.problems} == {"folders beside the images are not read: axial"}


def test_mixed_images_are_a_problem(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg", "a-g2/q/1.jpg", "a-g2/q/v.nii.gz")
    assert (
        only_problem(find_patients(tmp_path)).what
        == "a patient has one kind of image, found 1 slices and 1 NIfTI files"
    )


def test_two_volumes_of_one_patient_are_a_problem(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg", "a-g2/q/t1.nii", "a-g2/q/t2.nii")
    assert only_problem(find_patients(tmp_path)).patient == "q"


def test_a_patient_under_two_labels_is_left_out(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg", "a-g2/q/1.jpg", "a-g3/q/1.jpg")
    found = find_patients(tmp_path)
    assert [patient.id for patient in found.patients] == ["p"]
    assert only_problem(found).where == "a-g2/q and a-g3/q"
    assert only_problem(found).what == "one patient under two labels: 'q' is a-g2 and a-g3"


def test_slices_without_a_patient_are_a_problem(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg", "a-g2/2.jpg", "3.jpg")
    assert sorted(problem.where for problem in find_patients(tmp_path).problems) == ["3.jpg", "a-g2/2.jpg"]


def test_an_empty_root_says_what_was_expected(tmp_path):
    with pytest.raises(BrainMRIError, match=r"expected folders named <tumor>-g<1\.\.4>, found nothing"):
        find_patients(tmp_path)


def test_folders_of_another_kind_are_named(tmp_path):
    touch(tmp_path, "glioma/1.jpg", "none/1.jpg")
    with pytest.raises(BrainMRIError, match="found 'glioma', 'none'"):
        find_patients(tmp_path)


def test_a_missing_root_is_an_error(tmp_path):
    with pytest.raises(BrainMRIError, match="does not exist"):
        find_patients(tmp_path / "nowhere")


def test_when_no_patient_is_left_the_first_reason_is_told(tmp_path):
    touch(tmp_path, "a-g5/p/1.jpg", "a-g2/q/notes.txt")
    assert len(scan_patients(tmp_path).problems) == 2
    with pytest.raises(BrainMRIError, match=r"none of the patients can be used \(2 problems\), first") as caught:
        find_patients(tmp_path)
    assert len(str(caught.value).splitlines()) == 3


# Manifest


def write_manifest(path, *rows, header="patient,type,grade,path", encoding="utf-8") -> None:
    path.write_text("\n".join([header, *rows, ""]), encoding=encoding)


def test_a_manifest_gives_labels_and_paths(tmp_path):
    touch(tmp_path, "scans/one/1.jpg", "scans/one/2.jpg", "scans/zwei.nii.gz")
    write_manifest(tmp_path / "list.csv", "p1,Astrocytoma,2,scans/one", 'p2,oligo,,"scans/zwei.nii.gz"', ",,,")
    for root in (tmp_path, tmp_path / "list.csv"):
        found = find_patients(root)
        assert (found.layout, found.root, found.problems) == ("manifest list.csv", tmp_path.resolve(), [])
        assert labels(found) == [("p1", "astrocytoma", 2), ("p2", "oligo", None)]
        assert [names(patient) for patient in found.patients] == [["1.jpg", "2.jpg"], ["zwei.nii.gz"]]


def test_semicolons_other_columns_and_a_byte_order_mark_do(tmp_path):
    touch(tmp_path, "s/1.jpg")
    write_manifest(tmp_path / "l.csv", "s;2;56;Müller;a", header="Path;Grade;Age;Patient;Type", encoding="utf-8-sig")
    assert labels(find_patients(tmp_path)) == [("Müller", "a", 2)]


def test_bad_lines_of_a_manifest_are_named(tmp_path):
    touch(tmp_path, "s/1.jpg", "t/1.jpg")
    rows = ["p1,a,2,s", "p2,a,5,s", "p3,,2,s", "p4,a,2,nowhere", "p5,a,2,s", "p5,b,,t"]
    write_manifest(tmp_path / "l.csv", *rows)
    found = find_patients(tmp_path)
    assert labels(found) == [("p1", "a", 2)]
    assert {(problem.patient, problem.where): problem.what for problem in found.problems} == {
        ("p2", "l.csv, line 3"): "a grade is 1, 2, 3, 4 or empty, found '5'",
        ("p3", "l.csv, line 4"): "the column 'type' is empty",
        ("p4", "nowhere"): "the path does not exist",
        ("p5", "s and t"): "one patient under two labels: 'p5' is a-g2 and b-g?",
    }


def test_two_manifests_are_an_error(tmp_path):
    for name in ("a.csv", "b.csv"):
        write_manifest(tmp_path / name)
    with pytest.raises(BrainMRIError, match=r"expected one table of patients, found 'a.csv', 'b.csv'"):
        find_patients(tmp_path)


def test_other_tables_are_no_manifest(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg")
    (tmp_path / "ages.csv").write_bytes(b"patient,age\nM\xfcller,56\n")
    assert find_patients(tmp_path).layout == "folders"
    with pytest.raises(BrainMRIError, match="expected the columns patient,type,grade,path, found patient,age"):
        find_patients(tmp_path / "ages.csv")


def test_a_manifest_in_another_encoding_is_an_error(tmp_path):
    write_manifest(tmp_path / "l.csv", "Müller,a,2,s", encoding="latin-1")
    with pytest.raises(BrainMRIError, match="not UTF-8"):
        find_patients(tmp_path)


def test_a_table_as_a_spreadsheet_saves_unicode_text_is_read(tmp_path):
    touch(tmp_path, "s/1.jpg", "t/1.jpg")
    text = "patient\ttype\tgrade\tpath\np1\ta\t2.0\ts\np2\ta\t\tt\n"
    (tmp_path / "l.csv").write_text(text, encoding="utf-16")
    assert sorted(labels(find_patients(tmp_path))) == [("p1", "a", 2), ("p2", "a", None)]


def test_a_column_whose_name_is_quoted_and_has_a_comma_shifts_no_other(tmp_path):
    touch(tmp_path, "s/1.jpg")
    (tmp_path / "l.csv").write_text('"hospital, city",patient,type,grade,path\n"A, B",p1,a,2,s\n', encoding="utf-8")
    assert labels(find_patients(tmp_path)) == [("p1", "a", 2)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (["p1,a,2,s", 'p2,a,2,"t', *["p3,a,2,u"] * 3], 3),
        (['p1,a,2,"s', *[f"p{k},a,2,{k:0100}" for k in range(2000)]], 2),  # longer than a cell may be
        (["p1,a,2,s", 'p2,a,2,"t', 'p3,a,2,u"', "p4,a,2,v"], 3),
    ],
)
def test_a_quotation_mark_that_is_open_is_told_with_its_line(tmp_path, rows, line):
    write_manifest(tmp_path / "l.csv", *rows)
    with pytest.raises(BrainMRIError, match=f"a quotation mark is open at the end of line {line}"):
        find_patients(tmp_path / "l.csv")


# Cases to predict


def test_labelled_layouts_are_cases_too(tmp_path):
    touch(tmp_path, "a-g2/p/1.jpg", "b-g3/q/1.jpg")
    assert labels(find_cases(tmp_path)) == labels(find_patients(tmp_path))


def test_a_folder_of_patients_without_labels(tmp_path):
    touch(tmp_path, "p10/1.jpg", "p9/1.jpg", "p11.nii.gz", "empty/notes.txt")
    found = find_cases(tmp_path)
    assert (found.layout, labels(found)) == ("patients", [("p9", None, None), ("p10", None, None), ("p11", None, None)])
    assert only_problem(found).patient == "empty"


def test_a_picture_beside_folders_of_patients_is_no_patient(tmp_path):
    touch(tmp_path, "p1/1.jpg", "p2/1.jpg", "overview.jpg")
    with pytest.raises(BrainMRIError, match=r"pictures lie beside folders of pictures \(p1, p2\)"):
        find_cases(tmp_path)


@pytest.mark.parametrize(("files", "image"), [(["2.jpg", "10.jpg"], ["2.jpg", "10.jpg"]), (["v.nii"], ["v.nii"])])
def test_one_patients_folder(tmp_path, files, image):
    touch(tmp_path / "case-g2", *files)
    found = find_cases(tmp_path / "case-g2")
    assert (found.layout, [patient.id for patient in found.patients]) == ("patient", ["case-g2"])
    assert names(found.patients[0]) == image


@pytest.mark.parametrize(("name", "id_"), [("1.jpg", "1"), ("Scan A.nii.gz", "Scan A")])
def test_one_file(tmp_path, name, id_):
    touch(tmp_path, name)
    found = find_cases(tmp_path / name)
    assert labels(found) == [(id_, None, None)]
    assert found.root == tmp_path.resolve()


def test_one_dicom_folder(tmp_path, write_dicom):
    write_dicom(tmp_path / "p", np.zeros((8, 8, 2), dtype=np.int16), np.eye(4))
    assert find_cases(tmp_path / "p").patients[0].image == (tmp_path.resolve() / "p",)


def test_nothing_to_predict_is_an_error(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(BrainMRIError, match="found no patient"):
        find_cases(tmp_path)
