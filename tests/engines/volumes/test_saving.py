from types import SimpleNamespace

import pytest

from brainmri_monai.data.brats.conventions import find_convention
from brainmri_monai.engines.volumes.saving import SaveVolumes


@pytest.mark.parametrize(
    ("convention", "regions", "written", "said"),
    [
        ("brats2020", ["TC", "WT", "ET"], "brats2020", "those of brats2020"),
        (
            "brats2020",
            ["TC", "WT", "ET", "RC"],
            "portable",
            "4 RC, since brats2020 (1 NCR, 2 ED, 4 ET) has none for RC",
        ),
        ("brats2024-gli", ["TC", "WT", "ET", "RC"], "brats2024-gli", "those of brats2024-gli"),
    ],
)
def test_label_values_have_one_for_each_region(capsys, convention, regions, written, said):
    cases = SimpleNamespace(found=SimpleNamespace(convention=find_convention(convention), problems=[]))
    SaveVolumes(cases, regions)
    assert cases.label_convention == written
    assert said in capsys.readouterr().out
