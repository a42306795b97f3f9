import json
from pathlib import Path

import pytest

from brainmri_monai.data.datalist import Datalist
from brainmri_monai.engines import few_samples, require_overfit
from brainmri_monai.errors import BrainMRIError


@pytest.fixture
def datalist() -> Datalist:
    """Five astrocytomas, one of them without a grade, and two ependymomas."""
    entries = [
        {"id": f"a{k}", "image": [], "type": "astrocytoma", "grade": grade}
        for k, grade in enumerate([None, 2, 3, 2, 2])
    ]
    entries += [{"id": f"e{k}", "image": [], "type": "ependymoma", "grade": 2} for k in range(2)]
    parts = {"training": entries, "validation": [], "test": []}
    return Datalist(Path("/data"), "folders", ["astrocytoma", "ependymoma"], {}, parts)


def test_patients_are_taken_from_the_types_in_turn_and_have_a_grade(datalist):
    assert [sample["id"] for sample in few_samples(datalist, 4)] == ["a1", "e0", "a2", "e1"]
    assert [sample["id"] for sample in few_samples(datalist, 6)] == ["a1", "e0", "a2", "e1", "a3", "a4"]


def test_too_few_patients_are_said(datalist):
    with pytest.raises(BrainMRIError, match=r"7 training patients .* and there are 6.\nGive --overfit_patients 6"):
        few_samples(datalist, 7)


def write_history(folder: Path, *accuracies: tuple[float, float]) -> None:
    rows = [
        {"epoch": n, "val_type_accuracy": kind, "val_grade_teacher_forced_accuracy": grade}
        for n, (kind, grade) in enumerate(accuracies, start=1)
    ]
    (folder / "history.json").write_text(json.dumps(rows))


def test_all_patients_known_by_heart_at_the_end_is_success(tmp_path, capsys):
    write_history(tmp_path, (0.5, 0.2), (1, 1))
    require_overfit(tmp_path)
    assert "learnt by heart: type_accuracy 1.00, grade_teacher_forced_accuracy 1.00" in capsys.readouterr().out


@pytest.mark.parametrize("last", [(0.9, 1), (1, 0.9)])
def test_anything_less_at_the_end_is_an_error(tmp_path, last):
    write_history(tmp_path, (1, 1), last)
    with pytest.raises(BrainMRIError, match=r"did not learn the patients by heart: .* after 2 epochs"):
        require_overfit(tmp_path)
