import json

import numpy as np
import pytest

from brainmri_monai.data.brats.cases import find_volumes, scan_volumes
from brainmri_monai.data.brats.conventions import MODALITIES
from brainmri_monai.data.brats.files import holds_volumes
from brainmri_monai.errors import BrainMRIError


def only_problem(found):
    (problem,) = found.problems
    return problem


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("case", "words", "values", "convention"),
    [
        ("HGG/Brats17_TCIA_105_1", "before 2023", (1, 2, 4), "brats2017"),
        ("HGG/Brats18_2013_10_1", "before 2023", (1, 2, 4), "brats2018"),
        ("LGG/BraTS19_TMC_06290_1", "before 2023", (1, 2, 4), "brats2019"),
        ("BraTS20_Training_001", "before 2023", (1, 2, 4), "brats2020"),
        ("BraTS2021_00000", "before 2023", (1, 2, 4), "brats2021"),
        ("BraTS-GLI-00000-000", "since 2023", (1, 2, 3), "brats2023"),
        ("BraTS-MEN-00004-000", "since 2023", (1, 2, 3), "brats2023"),
        ("BraTS-SSA-00002-000", "since 2023", (1, 2, 3), "brats2023"),
        ("BraTS-GLI-02062-100", "since 2023", (1, 2, 3, 4), "brats2024-gli"),
        ("BraTS-MET-00086-000", "since 2023", (1, 2, 3), "brats-met"),
        ("BraTS-MET-00086-000", "since 2023", (1, 2, 3, 4), "brats2025-met"),
        ("BraTS-GoAT-00012", "since 2023", (1, 2, 3), "brats-goat"),
        ("BraTS-PED-00001-000", "since 2023", (1, 2, 3, 4), "brats2024-ped"),
        ("UCSF-PDGM-0004", "ucsf", (1, 2, 4), "ucsf-pdgm"),
        ("UPENN-GBM-00003_11", "upenn", (1, 2, 4), "upenn-gbm"),
        ("TCGA-DU-7294", "before 2023", (1, 2), "brats-tcga"),
    ],
)
def test_every_layout_of_four_files(tmp_path, write_case, case, words, values, convention, suffix):
    folder = write_case(tmp_path / case, values, words, suffix)
    found = find_volumes(tmp_path)
    (one,) = found.cases
    assert found.problems == []
    assert (found.convention.name, one.id) == (convention, folder.name)
    assert tuple(one.images) == one.modalities == MODALITIES
    assert one.label.parent == folder
    assert one.grade == (case[:3] if "/" in case else None)


def test_decathlon_files_hold_all_modalities_in_the_order_that_their_description_tells(tmp_path, save):
    save(tmp_path / "imagesTr/BRATS_001.nii.gz", np.ones((8, 8, 8, 4), np.int16))
    save(tmp_path / "labelsTr/BRATS_001.nii.gz", np.full((8, 8, 8), 3, np.uint8))
    (tmp_path / "labelsTr/._BRATS_001.nii.gz").touch()  # what another system leaves
    found = find_volumes(tmp_path)
    (case,) = found.cases
    assert (found.convention.name, case.id, case.images) == ("msd", "BRATS_001", {})
    assert case.files == (tmp_path / "imagesTr/BRATS_001.nii.gz",)
    assert case.label == tmp_path / "labelsTr/BRATS_001.nii.gz"
    assert case.channels == ("flair", "t1", "t1c", "t2")
    names = {"modality": {"0": "T1w", "1": "FLAIR", "2": "t1gd", "3": "T2w"}}
    (tmp_path / "dataset.json").write_text(json.dumps(names))
    assert find_volumes(tmp_path).cases[0].channels == ("t1", "flair", "t1c", "t2")
    assert find_volumes(tmp_path / "imagesTr/BRATS_001.nii.gz").cases[0].stacked == case.stacked


def test_radiotherapy_cases_have_one_modality(tmp_path, save):
    save(tmp_path / "BraTS-MEN-RT-0001-1/BraTS-MEN-RT-0001-1_t1c.nii.gz", np.ones((8, 8, 8), np.int16))
    save(tmp_path / "BraTS-MEN-RT-0001-1/BraTS-MEN-RT-0001-1_gtv.nii.gz", np.ones((8, 8, 8), np.uint8))
    found = find_volumes(tmp_path)
    assert (found.convention.name, found.problems, found.cases[0].modalities) == ("men-rt", [], ("t1c",))


def test_images_and_labels_of_a_case_may_lie_apart_and_a_label_drawn_by_hand_goes_first(tmp_path, write_case, save):
    folder = write_case(tmp_path / "images_structural/UPENN-GBM-00003_11", None, "upenn")
    approximate = "automated_segm/UPENN-GBM-00003_11_automated_approx_segm.nii.gz"
    save(tmp_path / approximate, np.full((12, 11, 10), 4, np.uint8))
    save(folder / "UPENN-GBM-00003_11_T1_unstripped.nii.gz", np.ones((8, 8, 8), np.uint8))
    assert find_volumes(tmp_path).cases[0].label == tmp_path / approximate
    by_hand = save(tmp_path / "images_segm/UPENN-GBM-00003_11_segm.nii.gz", np.full((12, 11, 10), 4, np.uint8))
    assert find_volumes(tmp_path).cases[0].label == by_hand


def test_label_maps_of_tcga_that_a_person_corrected_go_before_those_of_a_program(tmp_path, write_case):
    folder = write_case(tmp_path / "TCGA-02-0006_1996.08.23", (1, 2, 4))
    automatic = folder / f"{folder.name}_GlistrBoost.nii.gz"
    (folder / f"{folder.name}_seg.nii.gz").rename(automatic)
    assert find_volumes(tmp_path).cases[0].label == automatic
    corrected = automatic.with_name(f"{folder.name}_GlistrBoost_ManuallyCorrected.nii.gz")
    corrected.write_bytes(automatic.read_bytes())
    found = find_volumes(tmp_path)
    (case,) = found.cases
    assert (case.label, found.convention.name, found.problems) == (corrected, "brats-tcga", [])


def test_images_as_scanned_go_before_those_without_bias_field_which_do_where_they_are_alone(tmp_path, write_case):
    folder = write_case(tmp_path / "UCSF-PDGM-0004_nifti", (1, 2, 4), "ucsf")
    for file in folder.iterdir():
        file.rename(folder / file.name.replace("_nifti", ""))
    (folder / "UCSF-PDGM-0004_T2_bias.nii.gz").write_bytes((folder / "UCSF-PDGM-0004_T2.nii.gz").read_bytes())
    (folder / "UCSF-PDGM-0004_T1.nii.gz").rename(folder / "UCSF-PDGM-0004_T1_bias.nii.gz")
    (folder / "UCSF-PDGM-0004_ADC.nii.gz").touch()  # what is none of the four is not looked at
    found = find_volumes(tmp_path)
    (case,) = found.cases
    assert (case.id, found.problems) == ("UCSF-PDGM-0004", [])
    assert case.images["t2"].name == "UCSF-PDGM-0004_T2.nii.gz"
    assert case.images["t1"].name == "UCSF-PDGM-0004_T1_bias.nii.gz"


def test_files_named_by_the_modality_alone_belong_to_their_folder(tmp_path, write_case):
    folder = write_case(tmp_path / "Jürgen Ä 1", (1, 2, 4))
    for file in folder.iterdir():
        file.rename(folder / file.name.removeprefix("Jürgen Ä 1_"))
    found = find_volumes(tmp_path, convention="brats2020")
    assert [(case.id, case.modalities) for case in found.cases] == [("Jürgen Ä 1", MODALITIES)]


def test_folders_named_as_volumes_hold_them(tmp_path, write_case):
    folder = write_case(tmp_path / "BraTS2021_00495", (1, 2, 4))
    for file in list(folder.iterdir()):
        inner = folder / file.name.removesuffix(".gz")
        inner.mkdir()
        file.rename(inner / "00000057_brain_t2.nii.gz")  # as anonymised: this name tells nothing
    found = find_volumes(tmp_path)
    assert found.problems == []
    assert found.cases[0].images["flair"] == folder / "BraTS2021_00495_flair.nii/00000057_brain_t2.nii.gz"
    (folder / "BraTS2021_00495_flair.nii/another.nii").touch()
    problem, lacks = scan_volumes(tmp_path).problems
    assert problem.where == "BraTS2021_00495/BraTS2021_00495_flair.nii"
    assert problem.what == "a folder named as a volume holds one, this one holds 2"
    assert lacks.what == "lacks flair; found t1c, t1, t2"


def test_the_label_map_of_another_name_in_brats_2020_is_taken_with_a_warning(tmp_path, write_case):
    write_case(tmp_path / "BraTS20_Training_001", (1, 2, 4), suffix=".nii")
    folder = write_case(tmp_path / "BraTS20_Training_355", (1, 2, 4), suffix=".nii")
    (folder / "BraTS20_Training_355_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    found = find_volumes(tmp_path)
    assert found.cases[1].label == folder / "W39_1998.09.19_Segm.nii"
    problem = only_problem(found)
    assert (problem.severity, problem.where) == ("warning", "BraTS20_Training_355/W39_1998.09.19_Segm.nii")
    (folder / "a third one.nii").touch()  # now there are two: which one is it?
    assert find_volumes(tmp_path).cases[1].label is None


def test_a_mask_of_the_brain_is_no_label_map(tmp_path, write_case, save):
    folder = write_case(tmp_path / "BraTS20_Validation_001", None)
    save(folder / "brain_mask.nii.gz", np.ones((12, 11, 10), np.uint8))
    found = find_volumes(tmp_path)
    assert (found.cases[0].label, found.problems) == (None, [])


def test_a_case_without_a_modality_is_left_out_unless_asked_for(tmp_path, write_case):
    write_case(tmp_path / "BraTS-PED-00254-000", (1, 2, 3, 4), "since 2023")
    folder = write_case(tmp_path / "BraTS-PED-00255-000", (1, 2, 3, 4), "since 2023")
    (folder / "BraTS-PED-00255-000-t1c.nii.gz").unlink()
    found = find_volumes(tmp_path)
    problem = only_problem(found)
    assert [case.id for case in found.cases] == ["BraTS-PED-00254-000"]
    assert (problem.severity, problem.where) == ("error", "BraTS-PED-00255-000")
    assert (problem.what, problem.patient) == ("lacks t1c; found t1, t2, flair", "BraTS-PED-00255")
    found = find_volumes(tmp_path, allow_missing=True)
    assert [case.modalities for case in found.cases] == [MODALITIES, ("t1", "t2", "flair")]
    assert only_problem(found).severity == "warning"
    (folder / "BraTS-PED-00255-000-t1gad.nii.gz").touch()
    assert only_problem(find_volumes(tmp_path)).what.endswith("of no known name: BraTS-PED-00255-000-t1gad.nii.gz")


def test_a_doubled_modality_is_an_error(tmp_path, write_case):
    write_case(tmp_path / "BraTS20_Training_001", (1, 2, 4))
    folder = write_case(tmp_path / "BraTS20_Training_002", (1, 2, 4))
    (folder / "BraTS20_Training_002_t2.nii").touch()
    found = find_volumes(tmp_path)
    name = "BraTS20_Training_002/BraTS20_Training_002_t2.nii"
    assert only_problem(found).what == f"two files for one thing: {name} and {name}.gz"
    assert [case.id for case in found.cases] == ["BraTS20_Training_001"]


def test_four_files_and_one_of_the_same_name_are_doubled_too(tmp_path, write_case, save):
    folder = write_case(tmp_path / "BRATS_001", (1, 2, 3))
    save(folder / "BRATS_001.nii.gz", np.ones((8, 8, 8, 4), np.int16))
    problem, *_ = scan_volumes(tmp_path).problems
    assert problem.what.startswith("two files for one thing: BRATS_001/BRATS_001")
    assert "seg" not in problem.what


def test_time_points_are_cases_of_one_patient(tmp_path, write_case):
    for case in ("BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00006-100"):
        write_case(tmp_path / case, (1, 2, 3, 4), "since 2023")
    cases = find_volumes(tmp_path).cases
    patients = [(case.patient, case.timepoint) for case in cases]
    assert patients == [("BraTS-GLI-00005", "100"), ("BraTS-GLI-00005", "101"), ("BraTS-GLI-00006", "100")]


def test_grade_and_site_come_from_the_name_mapping(tmp_path, write_case):
    for number in (1, 2, 3, 4):
        write_case(tmp_path / f"BraTS20_Training_00{number}", (1, 2, 4))
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2019_subject_ID,"
        "BraTS_2020_subject_ID\n"
        "HGG,Brats17_TCIA_105_1,Brats18_TCIA02_105_1,TCGA-02-0006,BraTS19_TCIA02_105_1,BraTS20_Training_001\n"
        "LGG,NA,NA,TCGA-DU-7294,NA,BraTS20_Training_002\n"
        "LGG,NA,NA,NA,NA,BraTS20_Training_003\n"
    )
    (tmp_path / "survival_info.csv").write_text(
        "Brats20ID,Age,Survival_days,Extent_of_Resection\n"
        "BraTS20_Training_001,60.4,ALIVE (361 days later),NA\nBraTS20_Training_002,49.1,1020,GTR\n"
    )
    found = find_volumes(tmp_path)
    assert found.problems == []
    facts = [(case.grade, case.site) for case in found.cases]
    assert facts == [("HGG", "TCIA02"), ("LGG", "DU"), ("LGG", None), (None, None)]


def test_grade_and_site_come_from_columns_of_any_table(tmp_path, write_case):
    write_case(tmp_path / "UCSF-PDGM-0004", (1, 2, 4), "ucsf")
    write_case(tmp_path / "another id", (1, 2, 4), "ucsf")
    (tmp_path / "metadata.csv").write_text(
        "ID;Sex;WHO CNS Grade;Site No (of the institution)\nUCSF-PDGM-004;M;4;7\nanother id;F;unknown;9\n;;;\n"
    )
    found = find_volumes(tmp_path, convention="ucsf-pdgm")
    assert [(case.id, case.grade, case.site) for case in found.cases] == [
        ("another id", None, "9"),
        ("UCSF-PDGM-0004", "4", "7"),
    ]


def test_tables_add_to_each_other_and_other_tables_are_not_read(tmp_path, write_case):
    write_case(tmp_path / "BraTS2021_00001", (1, 2, 4))
    (tmp_path / "a.csv").write_text("id,Grade\nBraTS2021_00001,LGG\n")
    (tmp_path / "b.csv").write_text("id,Institution\nBraTS2021_00001,7\n\n")
    (tmp_path / "c.csv").write_bytes(b"id,feature\nBraTS2021_00001,\xff\x00\n" + b"x" * 200_000)
    (case,) = find_volumes(tmp_path).cases
    assert (case.grade, case.site) == ("LGG", "7")


def test_labels_and_their_absence_are_told(tmp_path, write_case):
    write_case(tmp_path / "BraTS20_Training_001", (1, 2, 4))
    write_case(tmp_path / "BraTS20_Training_002", None)
    folder = write_case(tmp_path / "BraTS20_Training_003", (1, 2, 4))
    for file in folder.iterdir():
        if "_seg" not in file.name:
            file.unlink()
    orphan, unlabelled = find_volumes(tmp_path).problems
    assert (orphan.severity, orphan.what) == ("error", "a label map without images")
    assert (unlabelled.severity, unlabelled.where) == ("warning", "BraTS20_Training_002")


def test_a_folder_without_cases_is_refused_in_three_lines(tmp_path, save):
    save(tmp_path / "a.nii.gz", np.ones((8, 8, 8), np.uint8))
    with pytest.raises(BrainMRIError, match="found no case with the modalities t1c, t1, t2, flair") as refused:
        find_volumes(tmp_path)
    assert len(str(refused.value).splitlines()) == 3
    with pytest.raises(BrainMRIError, match="does not exist"):
        find_volumes(tmp_path / "nowhere")


def test_volumes_are_told_from_other_data_by_names_alone(tmp_path, write_case, write_patient, save):
    write_patient(tmp_path / "slices/a-g2/p1", 0)
    save(tmp_path / "slices/a-g2/p2/scan_t1.nii.gz", np.ones((8, 8, 8), np.uint8))
    assert not holds_volumes(tmp_path / "slices")
    assert not holds_volumes(tmp_path / "nowhere")
    write_case(tmp_path / "brats/x/BraTS20_Training_001", None)
    assert holds_volumes(tmp_path / "brats")
