"""A small finished run, as the engines leave it on disk."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from brainmri_monai.metrics import Answers, score
from brainmri_monai.report.figures import (
    attention_path,
    plot_attention,
    plot_confusion,
    plot_history,
    plot_pr,
    plot_reliability,
    plot_roc,
)

TYPES = ["astrocytoma", "oligodendroglioma"]
GRADES = ["grade 1", "grade 2", "grade 3", "grade 4"]
ODD = '<script>alert("x")</script> & Jürgen 患者'  # a patient's name, to be shown as it is


def write(path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_csv(path, rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def trained(trained_once, tmp_path):
    """The folder of a run that was trained and not evaluated."""
    return shutil.copytree(trained_once, tmp_path / "run")


@pytest.fixture
def evaluated(evaluated_once, tmp_path):
    """The folder of a run that was trained and evaluated: 6 test patients, grade 1 and 4 absent, ``ODD`` wrong."""
    return shutil.copytree(evaluated_once, tmp_path / "run")


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    item = {"image": ["1.png", "2.png"], "type": TYPES[0], "grade": 2}
    parts = {"training": 3, "validation": 1, "test": 6}
    write(
        folder / "run.json",
        {
            "bundle": "brain_tumor_mil_classification",
            "version": "0.1.0",
            "created": "2025-11-21T09:14:05+00:00",
            "finished": "2025-11-21T09:16:00+00:00",
            "command": f"brainmri run training --dataset_dir '{ODD}'",
            "seed": 7,
            "device": "cpu",
            "precision": "bfloat16",
            "threads": 2,
            "packages": {"torch": "2.13.0"},
            "options": {"epochs": 3, "lr": 0.001},
            "digests": {"data": "9f3c"},
            "seconds": 115.0,
            "notes": [],
        },
    )
    write(
        folder / "datalist.json",
        {
            "name": ODD,
            "root": "data",
            "layout": "folders",
            "digest": "9f3c",
            "types": TYPES,
            "split": {"method": "holdout", "fold": None, "folds": None, "seed": 7, "notes": ["a rare stratum"]},
            **{part: [item | {"id": f"{part}{k}"} for k in range(n)] for part, n in parts.items()},
            "excluded": [{"where": "a/b.png", "what": "truncated PNG", "remedy": "copy it again"}],
        },
    )
    history = [{"epoch": e, "train_loss": 1 / e, "val_loss": 1.2 / e, "val_type_roc_auc_macro": 0.6} for e in (1, 2, 3)]
    write(folder / "history.json", history)
    plot_history(history, folder / "figures" / "history.png", best_epoch=3)
    return folder


@pytest.fixture(scope="session")
def evaluated_once(trained_once, tmp_path_factory) -> Path:
    folder = shutil.copytree(trained_once, tmp_path_factory.mktemp("evaluated") / "run")
    random = np.random.default_rng(0)
    type_labels, grade_labels = np.array([0, 0, 0, 1, 1, 1]), np.array([1, 2, 1, 2, 1, -1])
    joint = random.random((6, 2, 4)) + 0.1
    joint[0] = [[0.1, 0.1, 0.1, 0.1], [1, 4, 1, 1]]  # the first is wrong and very sure
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    found = Answers(joint, type_labels, grade_labels)
    metrics = score(found, TYPES, resamples=20) | {"external": False}
    metrics["calibration"] = {"type_temperature": 1.6, "grade_temperature": 0.9, "fitted_on": 1}
    write(folder / "metrics_test.json", metrics)

    figures, tasks = folder / "figures", found.tasks()
    for task in ("type", "grade_teacher_forced", "grade_end2end"):
        labels, probabilities = tasks[task]
        classes = TYPES if task == "type" else GRADES
        plot_roc(labels, probabilities, classes, figures / f"roc_{task}.png", task)
        plot_pr(labels, probabilities, classes, figures / f"pr_{task}.png", task)
        plot_confusion(labels, probabilities.argmax(axis=1), classes, figures / f"cm_{task}.png", task)
    plot_reliability(*tasks["type"], figures / "reliability_type.png", "Type")
    plot_reliability(*tasks["grade_end2end"], figures / "reliability_grade.png", "Grade")

    rows = []
    for k in range(6):
        name = ODD if k == 0 else f"patient{k}"
        rows.append(
            {
                "id": name,
                "pred": TYPES[found.types[k].argmax()],
                "confidence": found.types[k].max(),
                "decision": "answered",
                "label": TYPES[type_labels[k]],
                "grade_pred": found.grades[k].argmax() + 1,
                "grade_label": grade_labels[k] + 1 if grade_labels[k] >= 0 else "",
                "entropy": 0.5,
                "slices": 3,
            }
        )
        slices = random.integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
        plot_attention(slices, random.dirichlet([1, 1, 1]), attention_path(folder, name), f"patient {k}")
    write_csv(folder / "test_predictions.csv", rows)
    return folder


@pytest.fixture
def crossvalidated(evaluated):
    """The folder of a cross-validation with two folds, which hold the attention figures."""
    for fold in (0, 1):
        write(evaluated / f"fold{fold}" / "run.json", json.loads((evaluated / "run.json").read_text(encoding="utf-8")))
    with (evaluated / "test_predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row | {"fold": k % 2} for k, row in enumerate(csv.DictReader(file))]
    write_csv(evaluated / "test_predictions.csv", rows)
    for row in rows:
        path = attention_path(evaluated / f"fold{row['fold']}", row["id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        attention_path(evaluated, row["id"]).rename(path)
    metrics = json.loads((evaluated / "metrics_test.json").read_text(encoding="utf-8"))
    del metrics["calibration"]
    folds = [
        {
            "fold": fold,
            "type": {"roc_auc_macro": 0.61 + fold / 10},
            "calibration": {"type_temperature": 1.5 + fold / 10, "grade_temperature": 0.5 + fold / 10},
        }
        for fold in (0, 1)
    ]
    write(evaluated / "metrics_crossval.json", metrics | {"folds": folds})
    for name in ("run.json", "datalist.json", "history.json", "metrics_test.json"):
        (evaluated / name).unlink()
    return evaluated


@pytest.fixture
def compared(tmp_path):
    """The folder of a comparison of two runs."""
    folder = tmp_path / "comparison"
    one, two = {"value": 0.61, "low": 0.5, "high": 0.72}, {"value": 0.55, "low": 0.4, "high": 0.7}
    difference = {"value": -0.06, "low": -0.2, "high": 0.08, "p": 0.4}
    write(
        folder / "comparison.json",
        {
            "runs": [{"name": name, "path": f"runs/{name}", "patients": 71} for name in ("attention", ODD)],
            "metrics": [{"metric": "type balanced accuracy", "values": [one, two], "differences": [None, difference]}],
            "patients": 71,
            "method": "paired bootstrap over patients, 1000 resamples",
        },
    )
    return folder
