"""Which lesion-wise scores are meant for which data set."""

import pytest

from brainmri_monai.data.brats.conventions import CONVENTIONS
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.lesionwise import RULES
from brainmri_monai.metrics.lesionwise_tasks import TASKS, lesionwise_tasks


@pytest.mark.parametrize(
    ("convention", "case", "expected"),
    [
        ("brats2018", "Brats18_TCIA01_001_1", {"brats2023": "GLI", "brats2025": "GLI"}),
        ("brats2023", "BraTS-GLI-00001-000", {"brats2023": "GLI", "brats2025": "GLI"}),
        ("brats2023", "BraTS-MEN-00001-000", {"brats2023": "MEN", "brats2024": "MEN", "brats2025": "MEN"}),
        ("brats2023", "BraTS-SSA-00001-000", {"brats2023": "SSA", "brats2024": "SSA", "brats2025": "SSA"}),
        ("brats2024-gli", "BraTS-GLI-00001-100", {"brats2024": "GLI-post", "brats2025": "GLI-post"}),
        ("brats-met", "BraTS-MET-00001-000", {"brats2023": "MET", "brats2024": "MET", "brats2025": "MET"}),
        ("brats-goat", "BraTS-GoAT-00001", {"brats2025": "GoAT"}),
    ],
)
def test_task_follows_from_the_data_set(convention, case, expected):
    assert lesionwise_tasks(convention, case) == expected


def test_each_task_is_one_of_the_rules():
    assert set(TASKS) <= set(CONVENTIONS)
    assert all(any(task in tasks for tasks in RULES.values()) for task in TASKS.values())


def test_versions_can_be_chosen():
    assert lesionwise_tasks("brats2020", "BraTS20_Training_001", ["brats2025"]) == {"brats2025": "GLI"}
    with pytest.raises(BrainMRIError, match="'brats2024' for GLI"):
        lesionwise_tasks("brats2020", "BraTS20_Training_001", ["brats2023", "brats2024"])
