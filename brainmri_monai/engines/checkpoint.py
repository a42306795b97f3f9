"""What is kept after each epoch: the best weights, the way there, and all that a resume needs."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import nn

from brainmri_monai.engines.averaging import WeightAverage
from brainmri_monai.engines.distributed import gather, is_main_process, share_buffers
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.engines.weights import load_weights, save
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json

__all__ = ["TrainingRecord"]

# what schedulers call the length of the training, which a resumed run may change: they would save and restore it
LENGTHS = ("t_total", "T_max", "total_iters", "total_steps")


class TrainingRecord:
    """Write ``model.pt`` when the metric gets better, and ``last.pt`` and ``history.json`` after every epoch.

    MONAI's and ignite's savers do not write atomically, and keep neither the best score nor the history, without which
    a resumed run differs from an uninterrupted one. Attach it last: it stores what the other handlers did.

    Args:
        run: the run's folder.
        network: whose weights are saved, all of them, also where only a part is trained.
        average: of the network's weights, when one is taken: saved as ``model.pt`` in their place. It is attached here,
            since MONAI's check of a bundle wants no reference among the handlers.
        optimizer: of the trainer.
        scheduler: stepped once an epoch here, after the validation.
        evaluator: has validated when an epoch ends; its metrics enter the history, as do those of the trainer.
        metric: among the evaluator's metrics, the one that chooses the best epoch; or ``"epoch"``, which takes the
            last, where the validation has too few cases to choose.
        patience: stop when the metric has not become better for so many epochs; 0 never stops.
    """

    def __init__(
        self,
        run: RunFolder,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler,
        evaluator: Engine,
        metric: str = "loss",
        patience: int = 0,
        average: WeightAverage | None = None,
    ) -> None:
        self.run = run
        self.network = network
        self.averaging = average
        self.average = average.network if average else network
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.evaluator = evaluator
        self.metric = metric
        self.patience = patience
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, float] = {"epoch": 0, "value": math.inf if self.lower_is_better else -math.inf}
        self.stopped_early = False

    @property
    def lower_is_better(self) -> bool:
        """Losses and errors should fall, all else rise."""
        return self.metric.split("_")[-1] in {"loss", "ece", "brier"}

    def attach(self, trainer: Engine) -> None:
        if self.averaging:
            self.averaging.attach(trainer)
        self.evaluator.add_event_handler(Events.STARTED, lambda: share_buffers(self.average))  # of what rank 0 saves
        trainer.add_event_handler(Events.STARTED, self._restore)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._add_batch)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end_epoch)
        trainer.add_event_handler(Events.COMPLETED, self._finish)

    def _restore(self, trainer: Engine) -> None:
        self.started = time.monotonic()
        if not self.run.last.exists():
            return
        state = load_weights(self.run.last, map_location=self.run.device)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state.get("average", state["network"]))
        self.optimizer.load_state_dict(state["optimizer"])
        own = {name: value for name, value in self.scheduler.state_dict().items() if name in LENGTHS}
        self.scheduler.load_state_dict(state["scheduler"] | own)
        if any(state["scheduler"].get(name) != value for name, value in own.items()):
            self.scheduler.last_epoch -= 1
            self.scheduler.step()  # to the learning rate of the new length
        self.best, self.history = state["best"], state["history"]
        if is_main_process():
            write_json(self.run.path / "history.json", self.history)  # killed before this was written, it lacks a row
        trainer.state.epoch = state["epoch"]
        trainer.state.iteration = state["epoch"] * trainer.state.epoch_length
        self._stop_early(trainer)  # killed between its last epoch and its end

    def _start_epoch(self, trainer: Engine) -> None:
        self.sums: dict[str, float] = defaultdict(float)
        self.epoch_started = time.monotonic()

    def _add_batch(self, trainer: Engine) -> None:
        samples = trainer.state.batch  # decollated, as the output is: each of its items holds the loss of the batch
        self.batch_ended = time.monotonic()
        loss = float(trainer.state.output[0][CommonKeys.LOSS])
        _require_finite("training", loss, trainer)
        self.sums["loss"] += loss
        self.sums["batches"] += 1
        self.sums["samples"] += sum(int(sample["mask"].sum()) if "mask" in sample else 1 for sample in samples)

    def _end_epoch(self, trainer: Engine) -> None:
        seconds = self.batch_ended - self.epoch_started  # without the validation
        parts = gather([dict(self.sums)])
        sums = {name: sum(part[name] for part in parts) for name in self.sums}
        learning_rate = self.optimizer.param_groups[0]["lr"]
        self.scheduler.step()
        metrics = {name: float(value) for name, value in self.evaluator.state.metrics.items()}
        _require_finite("validation", metrics.get("loss", 0.0), trainer)
        scores = {name: value for name, value in metrics.items() if math.isfinite(value)}  # no classes that are absent
        if self.metric not in {*scores, "epoch"}:
            raise BrainMRIError(
                f"metric '{self.metric}' cannot choose the best epoch: the validation gives {', '.join(scores)}.\n"
                "Give one of these with --metric, or 'epoch' to take the last."
            )
        row = {
            "epoch": trainer.state.epoch,
            "train_loss": sums["loss"] / sums["batches"],
            **{f"train_{name}": float(value) for name, value in trainer.state.metrics.items()},
            **{f"val_{name}": value if math.isfinite(value) else None for name, value in metrics.items()},
            "lr": learning_rate,
            "seconds": round(seconds, 3),
            "samples_per_second": round(sums["samples"] / max(seconds, 1e-9), 1),
        }
        self.history.append(row)
        value = trainer.state.epoch if self.metric == "epoch" else scores[self.metric]
        better = value < self.best["value"] if self.lower_is_better else value > self.best["value"]
        if better:
            self.best = {"epoch": trainer.state.epoch, "value": value}
        if is_main_process():
            if better or not self.run.best.exists():
                save(self.average.state_dict(), self.run.best)
            self._save(trainer.state.epoch)
            write_json(self.run.path / "history.json", self.history)
        self._stop_early(trainer)

    def _stop_early(self, trainer: Engine) -> None:
        self.stopped_early = 0 < self.patience <= trainer.state.epoch - self.best["epoch"]
        if self.stopped_early:
            trainer.terminate()

    def _save(self, epoch: int) -> None:
        state = {
            "epoch": epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "best": self.best,
            "history": self.history,
            "made_of": self.run.made_of,
        }
        if self.average is not self.network:
            state["average"] = self.average.state_dict()
        save(state, self.run.last)

    def _finish(self, trainer: Engine) -> None:
        self.run.finish(time.monotonic() - self.started, self.best | {"metric": self.metric}, self.stopped_early)
        if is_main_process():
            why = f" (no better {self.metric} for {self.patience} epochs)" if self.stopped_early else ""
            best = f"best epoch {self.best['epoch']:.0f}, validation {self.metric} {self.best['value']:.4f}"
            kept = "the last is kept" if self.metric == "epoch" else best
            epochs = f"{trainer.state.epoch} epoch{'s' if trainer.state.epoch > 1 else ''}"
            print(f"trained {epochs}{why}; {kept}: {self.run.best}")


def _require_finite(what: str, loss: float, trainer: Engine) -> None:
    if not math.isfinite(loss):
        raise BrainMRIError(
            f"the {what} loss became {loss} in epoch {trainer.state.epoch}: the weights are lost.\n"
            "Lower --lr or --max_grad_norm, or give --precision float32; and --fresh, to start over."
        )
