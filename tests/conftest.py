"""A small labelled cohort, and a bundle's workflows with shrunken options."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import brainmri_monai

BUNDLE = "brain_tumor_mil_classification"
SLICE_BUNDLE = "brain_tumor_slice_classification"
TYPES = ("astrocytoma", "meningioma", "oligodendroglioma")
COHORT = {
    "astrocytoma-g2": 4,
    "astrocytoma-g3": 4,
    "meningioma-g1": 4,
    "meningioma-g2": 4,
    "oligodendroglioma-g2": 4,
    "oligodendroglioma-g3": 4,
}
TINY = {"image_size": 32, "bag_size": 3}
TINY_TEST = {"mc_samples": 2, "bootstrap": 20}


def draw_slices(random: np.random.Generator, kind: int, grade: int, count: int = 5, side: int = 40) -> np.ndarray:
    """A noisy head with a spot whose colour tells the type and whose size tells the grade; N H W 3, not square.

    Each head has a pattern of its own, or it would be taken for a copy of another.
    """
    rows, columns = np.mgrid[:side, : side + 4]
    slices = np.zeros((count, side, side + 4, 3))
    head = np.hypot(rows - side / 2, columns - side / 2) < side / 2 - 2
    pattern = np.kron(random.normal(90, 15, (5, 6)), np.ones((side // 5 + 1, side // 5 + 1)))
    slices[:, head] = pattern[:side, : side + 4][head][:, None]
    for picture in slices:
        row, column = random.uniform(0.4, 0.6, 2) * side
        picture[np.hypot(rows - row, columns - column) < 1 + 3 * grade, kind % 3] = 220
    return np.clip(slices + random.normal(0, 6, slices.shape), 0, 255).astype(np.uint8)


def _write_slices(folder: Path, slices: np.ndarray, suffix: str = ".png") -> list[Path]:
    folder.mkdir(parents=True)
    files = [folder / f"{n}{suffix}" for n in range(len(slices))]
    for file, picture in zip(files, slices, strict=True):
        Image.fromarray(picture).save(file)
    return files


def _write_cohort(root: Path, patients: Mapping[str, int], seed: int = 0, prefix: str = "P") -> Path:
    random = np.random.default_rng(seed)
    turns = [label for turn in range(max(patients.values())) for label, count in patients.items() if turn < count]
    for number, label in enumerate(turns, start=1):
        name, _, grade = label.partition("-g")
        kind = TYPES.index(name) if name in TYPES else len(name)
        _write_slices(root / label / f"{prefix}{number:02d}", draw_slices(random, kind, int(grade or 2)))
    return root


@pytest.fixture(autouse=True)
def no_handlers_left() -> Iterator[None]:
    """MONAI's runner sets up logging to the streams of the test, which are closed after it."""
    root = logging.getLogger()
    before = root.handlers[:]
    yield
    for logger in [root, *map(logging.getLogger, logging.root.manager.loggerDict)]:
        for handler in logger.handlers[:]:
            if isinstance(handler, logging.StreamHandler) and handler not in before:
                logger.removeHandler(handler)


@pytest.fixture(scope="session")
def write_slices() -> Callable[..., list[Path]]:
    """Write slices N H W 3 as files 0.png, 1.png, … in a new folder; returns their paths."""
    return _write_slices


@pytest.fixture(scope="session")
def write_cohort() -> Callable[..., Path]:
    """Write so many patients of each label (``<type>-g<grade>``), named P01, P02, …; another seed gives other ones."""
    return _write_cohort


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """24 patients of three types, each of two grades, with five slices each."""
    return _write_cohort(tmp_path_factory.mktemp("cohort") / "patients", COHORT)


VOLUME = (30, 36, 28)
VOLUME_CASES = [(grade, site) for grade in ("HGG", "LGG") for site in ("TCIA01", "TCIA02") for _ in range(2)]


def draw_volume(random: np.random.Generator, enhancing: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """4 H W D, int16: a brain with a tumour of nested balls, each bright in one modality; and the label map."""
    voxels = np.moveaxis(np.indices(VOLUME), 0, -1)
    half = (np.array(VOLUME) - 1) / 2
    brain = (((voxels - half) / (half - 2)) ** 2).sum(axis=-1) < 1
    distance = np.linalg.norm(voxels - half - random.uniform(-3, 3, 3), axis=-1)
    label = np.select([distance < (3 if enhancing else 0), distance < 5, distance < 7.5], [4, 1, 2], 0)
    image = random.normal(100, 8, (4, *VOLUME))
    for channel, values in ((0, (4,)), (2, (1, 4)), (3, (1, 2, 4))):
        image[channel][np.isin(label, values)] += 150
    return (image * brain).round().astype(np.int16), label.astype(np.uint8)


@pytest.fixture(scope="session")
def write_volumes() -> Callable[..., Path]:
    """Write cases as BraTS 2018 lays them out, by grade and hospital; those of low grade have no enhancing tumour."""

    def write(root: Path, seed: int = 0, first: int = 1, cases: Any = VOLUME_CASES) -> Path:
        random = np.random.default_rng(seed)
        for number, (grade, site) in enumerate(cases, start=first):
            folder = root / grade / f"Brats18_{site}_{number:03d}_1"
            folder.mkdir(parents=True)
            image, label = draw_volume(random, grade == "HGG")
            for word, volume in zip(("t1ce", "t1", "t2", "flair", "seg"), (*image, label), strict=True):
                nib.save(nib.Nifti1Image(volume, np.diag([-1, -1, 1, 1])), folder / f"{folder.name}_{word}.nii.gz")
        return root

    return write


SLICE_CLASSES = {"glioma_tumor": 9, "meningioma_tumor": 9, "no_tumor": 9, "pituitary_tumor": 9}
TINY_SLICES = {
    "image_size": 32,
    "batch_size": 8,
    "lr": 0.003,
    "network_def#network": {
        "_target_": "brainmri_monai.networks.SmallCNN",
        "norm": "instance",
        "pool": "max",
        "num_classes": "$len(@classes)",
    },
}


def draw_slice(random: np.random.Generator, kind: int, rows: int = 48, columns: int = 56) -> np.ndarray:
    """Smooth noise, unlike any other, with a bright or dark, wide or narrow bar that tells the class; H W."""
    coarse = random.integers(60, 160, (7, 7), dtype=np.uint8)
    picture = np.array(Image.fromarray(coarse).resize((columns, rows), Image.Resampling.BICUBIC))
    width, value = (3, 8)[kind % 2], (255, 0)[kind // 2 % 2]
    start = random.integers(4, rows - 14)
    picture[start : start + width, 6:-6] = value
    return picture


@pytest.fixture(scope="session")
def write_slice_set() -> Callable[..., Path]:
    """Write so many slices in each folder, such as {"Training/glioma": 3}, whose class a small network can learn."""

    def write(root: Path, folders: Mapping[str, int] = SLICE_CLASSES, seed: int = 0, suffix: str = ".png") -> Path:
        random = np.random.default_rng(seed)
        names = sorted({folder.rpartition("/")[2] for folder in folders})
        for folder, count in folders.items():
            (root / folder).mkdir(parents=True)
            for n in range(count):
                picture = draw_slice(random, names.index(folder.rpartition("/")[2]))
                Image.fromarray(picture).save(root / folder / f"{n}{suffix}")
        return root

    return write


@pytest.fixture(scope="session")
def slice_set(write_slice_set, tmp_path_factory) -> Path:
    """36 slices of four classes, none of which are twins."""
    return write_slice_set(tmp_path_factory.mktemp("slices") / "set")


@pytest.fixture(scope="session")
def tiny_slices(tmp_path_factory) -> Path:
    """An override with a small network on small slices."""
    path = tmp_path_factory.mktemp("overrides") / "tiny.json"
    path.write_text(json.dumps(TINY_SLICES), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def train_slices(tiny_slices) -> Callable[..., Path]:
    """Train the slice bundle in this process, small and for one epoch unless options say otherwise."""
    from brainmri_monai.data.bundles import config_files, find_bundle
    from brainmri_monai.engines.launch import launch

    def train(dataset_dir: Path, output_dir: Path, *overrides: str, **options: Any) -> Path:
        root = find_bundle(SLICE_BUNDLE)
        given = {"bundle_root": str(root), "dataset_dir": str(dataset_dir), "output_dir": str(output_dir), "epochs": 1}
        launch("training", config_files(root, "training", [str(tiny_slices), *overrides]), {**given, **options})
        return output_dir

    return train


@pytest.fixture(scope="session")
def evaluate_slices() -> Callable[..., dict[str, Any]]:
    """Evaluate a run of the slice bundle in this process; returns what ``metrics_test.json`` says."""
    from brainmri_monai.data.bundles import config_files
    from brainmri_monai.engines.launch import launch

    def evaluate(run: Path, **options: Any) -> dict[str, Any]:
        launch("evaluate", config_files(run, "evaluate"), {"bundle_root": str(run), "bootstrap": 20, **options})
        return json.loads((run / "metrics_test.json").read_text(encoding="utf-8"))

    return evaluate


@pytest.fixture
def no_slice_report(monkeypatch) -> None:
    """Leave out figures and page, which take longer than a tiny training."""
    monkeypatch.setattr("brainmri_monai.report.report_slices", lambda *arguments: None)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle's folder, as it is shipped."""
    from brainmri_monai.data.bundles import find_bundle

    return find_bundle(BUNDLE)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For a child process: the same package, and as many threads as here."""
    import torch

    root = str(Path(brainmri_monai.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(torch.get_num_threads())}


@pytest.fixture(scope="session")
def monai_bundle(environment) -> Callable[..., subprocess.CompletedProcess]:
    """``python -m monai.bundle WORDS… --option value…`` in a folder, as a user would type it."""

    def run(cwd: Path, *words: str, **options: Any) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "monai.bundle", *words]
        command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture(scope="session")
def launch_training(bundle) -> Callable[..., Path]:
    """Train in this process, on tiny slices for one epoch unless options say otherwise; returns the run's folder."""
    from brainmri_monai.data.bundles import config_files
    from brainmri_monai.engines.launch import launch

    def train(dataset_dir: Path, output_dir: Path, *overrides: str, **options: Any) -> Path:
        given = {"bundle_root": str(bundle), "dataset_dir": str(dataset_dir), "output_dir": str(output_dir)}
        launch("training", config_files(bundle, "training", overrides), {**given, **TINY, "epochs": 1, **options})
        return output_dir

    return train


@pytest.fixture(scope="session")
def launch_evaluate() -> Callable[..., dict[str, Any]]:
    """Evaluate a run from its own configurations in this process; returns what ``metrics_test.json`` says."""
    from brainmri_monai.data.bundles import config_files
    from brainmri_monai.engines.launch import launch

    def evaluate(run: Path, **options: Any) -> dict[str, Any]:
        launch("evaluate", config_files(run, "evaluate"), {"bundle_root": str(run), **TINY_TEST, **options})
        return json.loads((run / "metrics_test.json").read_text(encoding="utf-8"))

    return evaluate


@pytest.fixture
def no_report(monkeypatch) -> None:
    """Leave out figures and page, which take longer than a tiny training."""
    monkeypatch.setattr("brainmri_monai.report.report_run", lambda *arguments: None)


@pytest.fixture(scope="session")
def trained_run(cohort, bundle, monai_bundle, tmp_path_factory) -> Path:
    """A run as the README's command makes it, from the bundle's folder; not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "run"
    options = {"dataset_dir": cohort, "output_dir": run, "epochs": 2, **TINY}
    done = monai_bundle(bundle, "run", "training", config_file="configs/train.json", **options)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="session")
def evaluated_run(trained_run, cohort, bundle, monai_bundle) -> Path:
    """The same after the README's evaluation, with the bundle's configurations."""
    files = "['configs/train.json','configs/evaluate.json']"
    options = {"dataset_dir": cohort, "output_dir": trained_run, **TINY, **TINY_TEST}
    done = monai_bundle(bundle, "run", "evaluate", config_file=files, **options)
    assert done.returncode == 0, done.stderr
    return trained_run


@pytest.fixture
def brainmri(capfd) -> Callable[..., tuple[int, str, str]]:
    """``brainmri WORDS…`` in this process; returns the exit code and what it printed on both streams."""
    from brainmri_monai.cli import main

    def run(*words: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return code, out, err

    return run
