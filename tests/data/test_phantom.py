import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from brainmri_monai.data.patients import find_patients
from brainmri_monai.data.phantom import generate_patients, generate_volumes
from brainmri_monai.data.phantom.tumour import LOOKS
from brainmri_monai.errors import BrainMRIError

CHANCE = 1 / len(LOOKS)


@dataclass
class Generated:
    """A patient as it lies on disk."""

    type: str
    slices: np.ndarray  # N H W 3
    tumour: np.ndarray  # N, whether a slice shows tumour
    file_sizes: list[int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "patients"
    generate_patients(folder, patients=120, seed=3, spacing=3)
    return folder


@pytest.fixture(scope="module")
def patients(folder) -> list[Generated]:
    records = {record["id"]: record for record in json.loads((folder / "dataset.json").read_text())["patients"]}
    patients = []
    for patient in find_patients(folder).patients:
        slices = np.stack([np.asarray(Image.open(file)) for file in patient.image])
        tumour = np.array([file.name in records[patient.id]["tumour_slices"] for file in patient.image])
        patients.append(Generated(patient.type, slices, tumour, [file.stat().st_size for file in patient.image]))
    return patients


def global_statistics(patient: Generated) -> list[float]:
    brain = patient.slices[patient.slices.max(axis=-1) > 0]
    percentiles = np.percentile(brain, [1, 5, 25, 50, 75, 95, 99], axis=0)
    files = [np.sum(patient.file_sizes), np.mean(patient.file_sizes), np.std(patient.file_sizes)]
    extent = [*patient.slices.shape[:3], len(brain)]
    return [*brain.mean(axis=0), *brain.std(axis=0), *percentiles.ravel(), *files, *extent]


def joint_colours(slices: np.ndarray) -> np.ndarray:
    """How often each combination of the three grey values occurs, which no channel alone tells."""
    brain = slices[slices.max(axis=-1) > 10].astype(float)
    bins = np.clip(4 * brain / np.median(brain, axis=0), 0, 9).astype(int) @ [100, 10, 1]
    return np.sqrt(np.bincount(bins, minlength=1000) / len(brain))


def cross_validated(features: list, types: list[str], classifier) -> float:
    """Balanced accuracy on patients that were not trained on."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return balanced_accuracy_score(types, cross_val_predict(classifier, np.array(features), types, cv=folds))


def forest() -> ExtraTreesClassifier:
    return ExtraTreesClassifier(200, random_state=0)


def test_global_brightness_size_and_files_do_not_tell_the_type(patients):
    features = [global_statistics(patient) for patient in patients]
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    assert abs(cross_validated(features, [patient.type for patient in patients], linear) - CHANCE) < 0.10


def test_what_the_tumour_looks_like_tells_the_type(patients):
    features = [joint_colours(patient.slices) for patient in patients]
    assert cross_validated(features, [patient.type for patient in patients], forest()) > 0.75


def test_shuffled_labels_give_chance(patients):
    features = [joint_colours(patient.slices) for patient in patients]
    types = np.random.default_rng(0).permutation([patient.type for patient in patients])
    assert abs(cross_validated(features, types, forest()) - CHANCE) < 0.10


def test_slices_without_tumour_carry_no_class(patients):
    features = [joint_colours(patient.slices[~patient.tumour]) for patient in patients]
    types = [patient.type for patient in patients]
    assert abs(cross_validated(features, types, forest()) - CHANCE) < 0.10


def digest(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_seed_gives_the_same_bytes(tmp_path):
    for name, seed in [("one", 5), ("same", 5), ("other", 6)]:
        generate_patients(tmp_path / name, patients=2, seed=seed, spacing=3)
    one, same, other = (digest(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert not set(one.values()) & set(other.values())


def test_the_first_patients_do_not_depend_on_how_many_follow(tmp_path):
    generate_patients(tmp_path / "few", patients=3, seed=5, spacing=3)
    generate_patients(tmp_path / "more", patients=len(LOOKS), seed=5, spacing=3)
    few, more = digest(tmp_path / "few"), digest(tmp_path / "more")
    del few["dataset.json"]
    assert few.items() <= more.items()


def test_types_are_equally_frequent(patients):
    assert set(Counter(patient.type for patient in patients).values()) == {len(patients) // len(LOOKS)}


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("brainmri_monai.data.phantom.patients._write_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate_patients(tmp_path / "new", patients=2, spacing=3)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BrainMRIError, match="new or empty"):
        generate_patients(tmp_path, patients=2)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"seed": -1}, "expected a seed of 0 or more, got -1"),
        ({"spacing": 0}, "expected a spacing from 1 to 6 mm, got 0"),
        ({"spacing": float("nan")}, "expected a spacing from 1 to 6 mm, got nan"),
    ],
)
@pytest.mark.parametrize("generate", [generate_patients, generate_volumes])
def test_what_cannot_be_drawn_is_told_and_leaves_nothing(tmp_path, generate, option, said):
    with pytest.raises(BrainMRIError, match=said):
        generate(tmp_path / "new", 1, **option)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("patients", [0, -3])
def test_there_must_be_a_patient(tmp_path, patients):
    with pytest.raises(BrainMRIError, match="at least 1 patient"):
        generate_patients(tmp_path / "new", patients=patients)
