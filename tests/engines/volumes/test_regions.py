"""Which regions can be asked for with which labels."""

import pytest

from brainmri_monai.data.brats.conventions import CONVENTIONS, find_convention
from brainmri_monai.engines.volumes.cases import require_told_apart
from brainmri_monai.errors import BrainMRIError


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name != "men-rt"])
def test_gliomas_have_no_gross_tumour_volume(name):
    require_told_apart(find_convention(name), ["TC", "WT", "ET", "RC"], "")
    with pytest.raises(BrainMRIError, match="the regions TC, GTV are not those of these labels"):
        require_told_apart(find_convention(name), ["TC", "GTV"], "")


def test_the_gross_tumour_volume_stands_alone():
    require_told_apart(find_convention("men-rt"), ["GTV"], "")
    for regions in (["TC", "WT", "ET"], ["GTV", "TC"]):
        with pytest.raises(BrainMRIError, match=r"and have GTV\.\nTry others"):
            require_told_apart(find_convention("men-rt"), regions, "Try others")
