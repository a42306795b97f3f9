import pytest

from brainmri_monai.data.brats.conventions import CONVENTIONS, find_convention
from brainmri_monai.data.brats.names import FileName, conventions_of, parse_case, parse_file
from brainmri_monai.errors import BrainMRIError

REGIONS = {  # as the challenges define them
    "brats2020": {"TC": {1, 4}, "WT": {1, 2, 4}, "ET": {4}},
    "brats2023": {"TC": {1, 3}, "WT": {1, 2, 3}, "ET": {3}},
    "brats2024-gli": {"TC": {1, 3}, "WT": {1, 2, 3}, "ET": {3}, "RC": {4}},
    "brats-met": {"TC": {1, 3}, "WT": {1, 2, 3}, "ET": {3}},
    "brats2025-met": {"TC": {1, 3}, "WT": {1, 2, 3}, "ET": {3}, "RC": {4}},
    "brats2023-ped": {"TC": {1, 3}, "WT": {1, 2, 3}, "ET": {3}},
    "brats2024-ped": {"TC": {1, 2, 3}, "WT": {1, 2, 3, 4}, "ET": {1}, "NET": {2}, "CC": {3}},
    "men-rt": {"GTV": {1}},
    "msd": {"TC": {2, 3}, "WT": {1, 2, 3}, "ET": {3}},
}


@pytest.mark.parametrize("name", REGIONS)
def test_regions_are_those_of_the_challenge(name):
    convention = find_convention(name)
    assert {region: set(values) for region, values in convention.regions.items()} == REGIONS[name]
    assert list(convention.regions) == list(REGIONS[name])  # the order of channels


@pytest.mark.parametrize(
    ("case", "names", "patient", "timepoint", "site"),
    [
        ("Brats17_CBICA_AAB_1", ["brats2017"], "Brats17_CBICA_AAB", "1", "CBICA"),
        ("Brats18_2013_10_1", ["brats2018"], "Brats18_2013_10", "1", "2013"),
        ("BraTS19_TMC_06290_1", ["brats2019"], "BraTS19_TMC_06290", "1", "TMC"),
        ("BraTS20_Training_001", ["brats2020"], "BraTS20_Training_001", None, None),
        ("BraTS2021_00495", ["brats2021"], "BraTS2021_00495", None, None),
        ("BraTS-GLI-00005-101", ["brats2023", "brats2024-gli"], "BraTS-GLI-00005", "101", None),
        ("BraTS-MEN-00004-000", ["brats2023"], "BraTS-MEN-00004", "000", None),
        ("BraTS-SSA-00002-000", ["brats2023"], "BraTS-SSA-00002", "000", None),
        ("BraTS-MET-00086-000", ["brats-met", "brats2025-met"], "BraTS-MET-00086", "000", None),
        ("BraTS-PED-00255-000", ["brats2023-ped", "brats2024-ped"], "BraTS-PED-00255", "000", None),
        ("BraTS-GoAT-00012", ["brats-goat"], "BraTS-GoAT-00012", None, None),
        ("BraTS-MEN-RT-0001-1", ["men-rt"], "BraTS-MEN-RT-0001", "1", None),
        ("BRATS_001", ["msd"], "BRATS_001", None, None),
        ("UCSF-PDGM-0004", ["ucsf-pdgm"], "UCSF-PDGM-0004", None, None),
        ("UCSF-PDGM-431_FU001d", ["ucsf-pdgm"], "UCSF-PDGM-0431", "FU001d", None),
        ("UPENN-GBM-00003_11", ["upenn-gbm"], "UPENN-GBM-00003", "11", None),
        ("TCGA-02-0006_1996.08.23", ["brats-tcga"], "TCGA-02-0006", "1996.08.23", "02"),
        ("patient 7", [], "patient 7", None, None),
    ],
)
def test_ids_tell_patient_time_point_and_site(case, names, patient, timepoint, site):
    assert [convention.name for convention in conventions_of(case)] == names
    assert parse_case(case) == (patient, timepoint, site)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("Brats18_X_1_t1ce.nii.gz", FileName("Brats18_X_1", "t1c", False, False)),
        ("BraTS20_Training_001_flair.nii", FileName("BraTS20_Training_001", "flair", False, False)),
        ("BraTS-GLI-00000-000-t1n.nii.gz", FileName("BraTS-GLI-00000-000", "t1", True, False)),
        ("BraTS-MEN-RT-0001-1_gtv.nii.gz", FileName("BraTS-MEN-RT-0001-1", "label", False, False)),
        ("UCSF-PDGM-0004_T1c.nii.gz", FileName("UCSF-PDGM-0004", "t1c", False, False)),
        ("UCSF-PDGM-0004_FLAIR_bias.nii.gz", FileName("UCSF-PDGM-0004", "flair", False, True)),
        ("UCSF-PDGM-0004_tumor_segmentation.nii.gz", FileName("UCSF-PDGM-0004", "label", False, False)),
        ("UPENN-GBM-00003_11_T1GD.nii.gz", FileName("UPENN-GBM-00003_11", "t1c", False, False)),
        ("UPENN-GBM-00003_11_automated_approx_segm.nii.gz", FileName("UPENN-GBM-00003_11", "label", False, True)),
        ("flair.nii.gz", FileName(None, "flair", False, False)),
        ("UCSF-PDGM-0004_ADC.nii.gz", None),
        ("UCSF-PDGM-0004_brain_segmentation.nii.gz", None),
        ("UPENN-GBM-00003_11_T1_unstripped.nii.gz", None),
        ("BRATS_001.nii.gz", None),
    ],
)
def test_names_of_files_tell_case_and_role(name, parsed):
    assert parse_file(name) == parsed


def test_an_unknown_convention_is_refused_with_the_nearest():
    with pytest.raises(BrainMRIError, match=r"unknown convention 'brats2032'; did you mean 'brats20\d\d'"):
        find_convention("brats2032")
    assert all(find_convention(name).name == name for name in CONVENTIONS)
