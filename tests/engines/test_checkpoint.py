import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine, Events
from monai.optimizers import WarmupCosineSchedule
from torch import nn

from brainmri_monai.engines import TrainingRecord, load_weights
from brainmri_monai.errors import BrainMRIError


class Training:
    """Two batches an epoch, with losses and validation metrics that are told beforehand.

    The one weight of the network is the number of the batch, so that a file tells when it was written.
    """

    def __init__(
        self, folder: Path, metrics: list[dict], losses: list[float] | None = None, cosine: bool = False, **options
    ) -> None:
        self.ended: tuple | None = None
        run = SimpleNamespace(
            path=folder, last=folder / "last.pt", best=folder / "model.pt", device="cpu", finish=self.finish,
            made_of={"data": "a", "split": "b"},
        )  # fmt: skip
        network = nn.Linear(1, 1, bias=False)
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        if cosine:
            scheduler = WarmupCosineSchedule(optimizer, warmup_steps=1, t_total=len(metrics))
        evaluator = Engine(lambda engine, batch: None)
        losses = losses or [1.0, 3.0] * len(metrics)

        def step(engine, batch) -> list[dict]:
            optimizer.step()  # without gradients it changes nothing
            network.weight.data.fill_(engine.state.iteration)
            return [{"loss": torch.tensor(losses[engine.state.iteration - 1])}] * len(batch)

        def validate(engine) -> None:
            evaluator.state.metrics = metrics[engine.state.epoch - 1]

        self.epochs = len(metrics)
        self.trainer = Engine(step)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
        self.record = TrainingRecord(run, network, optimizer, scheduler, evaluator, **options)
        self.record.attach(self.trainer)

    def finish(self, seconds: float, best: dict, stopped_early: bool) -> None:
        self.ended = best, stopped_early

    def run(self, epochs: int | None = None) -> None:
        sample = {"image": None, "mask": torch.tensor([True, True, False])}
        self.trainer.run([[sample, sample], [sample]], max_epochs=epochs or self.epochs)


def best_weight(folder: Path) -> float:
    return load_weights(folder / "model.pt")["weight"].item()


def losses(*values: float) -> list[dict]:
    return [{"loss": value} for value in values]


def test_each_validation_begins_with_the_buffers_of_the_first_process(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("brainmri_monai.engines.checkpoint.share_buffers", given.append)
    record = Training(tmp_path, losses(1)).record
    record.evaluator.run([0], max_epochs=2)
    assert given == [record.average]


def test_the_best_weights_are_those_of_the_lowest_loss(tmp_path):
    training = Training(tmp_path, losses(3, 1, 2))
    training.run()
    assert best_weight(tmp_path) == 4  # after two epochs of two batches
    assert training.ended == ({"epoch": 2, "value": 1, "metric": "loss"}, False)


def test_a_score_should_rise_and_the_first_of_equals_stays(tmp_path):
    metrics = [{"loss": 1.0, "type_accuracy": value} for value in (0.5, 0.8, 0.8, 0.7)]
    Training(tmp_path, metrics, metric="type_accuracy").run()
    assert best_weight(tmp_path) == 4


def test_last_epoch_is_kept_when_the_epoch_is_the_metric(tmp_path):
    training = Training(tmp_path, losses(2, 1, 3), metric="epoch")
    training.run()
    assert best_weight(tmp_path) == 6
    assert training.ended == ({"epoch": 3, "value": 3, "metric": "epoch"}, False)


@pytest.mark.parametrize("metric", ["loss", "type_ece", "grade_end2end_brier"])
def test_errors_should_fall(tmp_path, metric):
    assert Training(tmp_path, [{}], metric=metric).record.lower_is_better
    assert not Training(tmp_path, [{}], metric="type_balanced_accuracy").record.lower_is_better


def test_a_row_of_the_history_by_hand(tmp_path):
    metrics = [{"loss": 2.0, "type_roc_auc_macro": math.nan}, {"loss": 1.0, "type_roc_auc_macro": 0.75}]
    training = Training(tmp_path, metrics)
    training.run()
    text = (tmp_path / "history.json").read_text()
    assert "NaN" not in text  # which is no JSON
    first, second = json.loads(text)
    assert first["epoch"] == 1
    assert first["train_loss"] == 2  # the mean of 1 and 3
    assert first["val_loss"] == 2
    assert first["val_type_roc_auc_macro"] is None
    assert second["val_type_roc_auc_macro"] == 0.75
    assert (first["lr"], second["lr"]) == (1.0, 0.5)
    assert training.record.sums["samples"] == 6  # three bags of two slices and one that is padding


def test_it_stops_when_nothing_got_better_for_a_while(tmp_path):
    training = Training(tmp_path, losses(3, 1, 2, 2, 0), patience=2)
    training.run()
    assert training.trainer.state.epoch == 4
    assert training.ended == ({"epoch": 2, "value": 1, "metric": "loss"}, True)


def test_patience_0_never_stops(tmp_path):
    training = Training(tmp_path, losses(1, 2, 3, 4), patience=0)
    training.run()
    assert training.trainer.state.epoch == 4


def test_a_second_run_goes_on_where_the_first_one_was(tmp_path):
    whole, first, second = tmp_path / "whole", tmp_path / "halves", tmp_path / "halves"
    metrics = losses(3, 1, 2, 1.5)
    Training(whole, metrics).run()
    Training(first, metrics).run(epochs=2)
    training = Training(second, metrics)
    training.run()
    assert training.ended == ({"epoch": 2, "value": 1, "metric": "loss"}, False)
    assert best_weight(second) == best_weight(whole) == 4
    rows = [json.loads((folder / "history.json").read_text()) for folder in (whole, second)]
    told = [[{key: row[key] for key in ("epoch", "train_loss", "val_loss", "lr")} for row in run] for run in rows]
    assert told[0] == told[1]
    assert load_weights(second / "last.pt")["optimizer"] == load_weights(whole / "last.pt")["optimizer"]


def test_an_unknown_metric_is_told_with_those_that_there_are(tmp_path):
    with pytest.raises(BrainMRIError, match=r"metric 'auc' .* the validation gives loss, type_accuracy"):
        Training(tmp_path, [{"loss": 1.0, "type_accuracy": 0.5}], metric="auc").run()


def test_a_metric_that_the_validation_patients_leave_undefined_is_told(tmp_path):
    metrics = [{"loss": 1.0, "type_roc_auc_macro": math.nan}]
    with pytest.raises(BrainMRIError, match=r"'type_roc_auc_macro' .* the validation gives loss\."):
        Training(tmp_path, metrics, metric="type_roc_auc_macro").run()


def test_a_loss_that_is_lost_is_told_and_the_last_good_epoch_kept(tmp_path):
    training = Training(tmp_path, losses(3, 2, 1), losses=[1.0, 1.0, 1.0, math.nan, 1.0, 1.0])
    with pytest.raises(BrainMRIError, match="the training loss became nan in epoch 2"):
        training.run()
    assert load_weights(tmp_path / "last.pt")["epoch"] == 1
    assert best_weight(tmp_path) == 2


def test_weights_that_answer_nothing_in_the_validation_are_told(tmp_path):
    training = Training(tmp_path, [{"loss": 1.0, "dice": 0.5}, {"loss": math.nan, "dice": 0.0}], metric="dice")
    with pytest.raises(BrainMRIError, match="the validation loss became nan in epoch 2: the weights are lost"):
        training.run()
    assert load_weights(tmp_path / "last.pt")["epoch"] == 1


def test_more_epochs_bring_the_learning_rate_to_its_end_later(tmp_path):
    Training(tmp_path, losses(1, 1, 1), cosine=True).run()
    Training(tmp_path, losses(1, 1, 1, 1, 1, 1), cosine=True).run()
    rates = [row["lr"] for row in json.loads((tmp_path / "history.json").read_text())]
    assert rates[1:3] == pytest.approx([1, 0.5])
    assert rates[3:] == pytest.approx([(1 + math.cos(math.pi * step / 5)) / 2 for step in (2, 3, 4)])
