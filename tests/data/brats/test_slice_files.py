from pathlib import Path

import pytest

from brainmri_monai.data.brats.cases import find_volumes
from brainmri_monai.data.check import check_patients
from brainmri_monai.errors import BrainMRIError


@pytest.fixture
def kaggle(tmp_path) -> Path:
    """Two volumes of three slices each, and the table that comes with them; the names are enough."""
    folder = tmp_path / "BraTS2020_training_data/content/data"
    folder.mkdir(parents=True)
    for volume in (1, 41):
        for number in range(3):
            (folder / f"volume_{volume}_slice_{number}.h5").write_bytes(b"\x89HDF")
    (folder / "meta_data.csv").write_text("slice_path,target,volume,slice\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("read", [check_patients, find_volumes])
@pytest.mark.parametrize("part", [".", "BraTS2020_training_data/content/data"])
def test_slices_of_kaggle_are_told_from_volumes(kaggle, read, part):
    with pytest.raises(BrainMRIError, match="6 slices of 2 volumes, Kaggle's form of BraTS 2020") as told:
        read(kaggle / part)
    assert len(str(told.value).splitlines()) == 3
    assert str(kaggle) in str(told.value)


def test_a_single_slice_is_told_too(kaggle):
    with pytest.raises(BrainMRIError, match="1 slice of 1 volume,"):
        check_patients(next(kaggle.rglob("*.h5")))


def test_other_files_beside_volumes_do_not_matter(kaggle, write_case):
    write_case(kaggle / "BraTS20_Training_001", (1, 2, 4))
    assert [case.id for case in find_volumes(kaggle).cases] == ["BraTS20_Training_001"]
