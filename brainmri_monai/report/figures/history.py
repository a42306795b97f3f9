"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["plot_history"]


def plot_history(history: Sequence[Mapping[str, float]], path: str | Path, *, best_epoch: int | None = None) -> None:
    """Draw the losses and, beside them, the validation metrics over the epochs, as PNG.

    Args:
        history: one mapping an epoch, as in ``history.json``: ``epoch``, ``train_loss``, ``val_loss`` and any other
            ``val_…`` are drawn; what an epoch lacks, or what is not finite, leaves a gap.
        path: the file to write.
        best_epoch: the epoch whose weights were kept; it is marked.
    """
    epochs = np.array([entry["epoch"] for entry in history])
    keys = list(dict.fromkeys(key for entry in history for key in entry))
    losses = [key for key in ("train_loss", "val_loss") if key in keys]
    metrics = [key for key in keys if key.startswith("val_") and key != "val_loss"]
    panels = [("Loss", losses)] + ([("Validation", metrics)] if metrics else [])

    figure = style.new_figure(8, 3.2)
    for index, (title, shown) in enumerate(panels):
        axes = figure.add_axes((index * 0.55, 0, 0.45, 1))
        style.clean(axes, title=title, x="Epoch")
        if not any(_values(history, key).size for key in shown):
            style.say(axes, "No epoch yet.")
            continue
        for key, look in zip(shown, style.class_styles(len(shown)), strict=True):
            values = _values(history, key)
            marker = "o" if len(epochs) < 30 else None
            axes.plot(epochs, values, linewidth=1.6, marker=marker, markersize=3, label=_name(key), **look)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=style.INK, linewidth=1, linestyle=(0, (4, 3)), label="best epoch")
        axes.set_xlim(epochs.min() - 0.5, epochs.max() + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        style.legend(axes, *axes.get_legend_handles_labels())
    style.save(figure, path)


def _values(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    values = [entry.get(key) for entry in history]
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _name(key: str) -> str:
    if key in ("train_loss", "val_loss"):
        return {"train_loss": "training", "val_loss": "validation"}[key]
    return key.removeprefix("val_").replace("_", " ").replace("roc auc", "ROC AUC")
