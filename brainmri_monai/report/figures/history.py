"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["plot_history"]

BOTH = {"accuracy": "Accuracy", "confidence": "Mean confidence"}
MEASURES = {"balanced_accuracy": "Balanced accuracy", "roc_auc_macro": "ROC AUC, macro"}


def plot_history(history: Sequence[Mapping[str, float]], path: str | Path, *, best_epoch: int | None = None) -> None:
    """Draw the losses and, beside them, the validation's scores over the epochs, as PNG.

    Args:
        history: one mapping an epoch, as in ``history.json``: ``epoch``, ``train_loss``, ``val_loss`` and scores
            ``val_…``. Accuracy and confidence get a panel each where the training tells them, too. Else balanced
            accuracy and ROC AUC do, with a line for each task, and the Dice of regions; where there are none, the
            first six other scores share one. What is missing or not finite leaves a gap.
        path: the file to write.
        best_epoch: the epoch whose weights were kept; it is marked.
    """
    epochs = [entry["epoch"] for entry in history]
    panels = _panels(history)
    tasks = dict.fromkeys(name for title in MEASURES.values() for name in panels.get(title, ()))
    look_of = dict(zip(tasks, style.class_styles(len(tasks)), strict=True))  # a task looks the same in all panels
    figure = style.new_figure(9, 3.2)
    for index, (title, lines) in enumerate(panels.items()):
        axes = figure.add_axes((index * 0.42, 0, 0.35, 1))
        style.clean(axes, title=title, x="Epoch")
        if not lines:
            style.say(axes, "No epoch yet.")
            continue
        marker = "o" if len(epochs) < 30 else None
        for (name, key), look in zip(lines.items(), style.class_styles(len(lines)), strict=True):
            values = [np.nan if entry.get(key) is None else entry[key] for entry in history]
            axes.plot(epochs, values, linewidth=1.6, marker=marker, markersize=3, label=name, **look_of.get(name, look))
        if best_epoch is not None:
            axes.axvline(best_epoch, color=style.INK, linewidth=1, linestyle=(0, (4, 3)), label="epoch that is kept")
        if title in (*MEASURES.values(), *BOTH.values(), "Dice"):
            axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        style.legend(axes, *axes.get_legend_handles_labels())
    style.save(figure, path)


def _panels(history: Sequence[Mapping[str, float]]) -> dict[str, dict[str, str]]:
    """Title → name of a line → key in the history."""
    keys = list(dict.fromkeys(key for entry in history for key in entry))
    losses = {"training": "train_loss", "validation": "val_loss"}
    panels = {"Loss": {name: key for name, key in losses.items() if key in keys}}
    parts = {"training": "train_", "validation": "val_"}
    told = {measure: title for measure, title in BOTH.items() if f"train_{measure}" in keys}
    if told:
        return panels | {t: {part: start + measure for part, start in parts.items()} for measure, t in told.items()}
    scores = {key.removeprefix("val_"): key for key in keys if key.startswith("val_") and key != "val_loss"}
    for measure, title in MEASURES.items():
        of_tasks = {name: key for name, key in scores.items() if name.endswith(measure)}
        if of_tasks:
            panels[title] = {_words(name.removesuffix(measure)) or title: key for name, key in of_tasks.items()}
    of_regions = {name.removeprefix("dice_").upper(): key for name, key in scores.items() if name.startswith("dice_")}
    if of_regions and "dice" in scores:
        panels["Dice"] = of_regions | {"mean": scores["dice"]}
    if len(panels) == 1 and scores:
        panels["Validation"] = {_words(name): key for name, key in list(scores.items())[:6]}
    return panels


def _words(key: str) -> str:
    return key.replace("_", " ").replace("end2end", "end to end").strip()
