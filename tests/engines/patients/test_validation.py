import numpy as np
import pytest
import torch
from ignite.engine import Engine

from brainmri_monai.engines import TwoStepScores
from brainmri_monai.losses import TwoStepLoss
from brainmri_monai.metrics import Answers, statistics


def outputs(seed: int = 0) -> list[dict]:
    logits = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(seed))
    log_joint = torch.log_softmax(logits.flatten(1), dim=1).view_as(logits)
    labels = torch.tensor([[0, 1], [1, 2], [0, -1], [1, 1], [0, 2], [1, 2]])
    return [{"pred": pred, "label": label} for pred, label in zip(log_joint, labels, strict=True)]


def evaluated(loss: TwoStepLoss, seed: int = 0) -> dict[str, float]:
    seen = outputs(seed)
    engine = Engine(lambda engine, batch: seen[2 * batch : 2 * batch + 2])  # decollated, two patients a batch
    TwoStepScores(loss).attach(engine)
    engine.run(range(3))
    return engine.state.metrics


def test_metrics_are_those_of_all_patients_together():
    loss = TwoStepLoss(type_class_weights=[1.0, 2.0])
    metrics = evaluated(loss)
    log_joint, labels = (torch.stack([output[key] for output in outputs()]) for key in ("pred", "label"))
    assert metrics.pop("loss") == pytest.approx(loss(log_joint, labels).item())
    answers = Answers(log_joint.double().exp().numpy(), labels[:, 0].numpy(), labels[:, 1].numpy())
    assert metrics == pytest.approx(statistics(answers))


def test_another_epoch_forgets_the_one_before():
    loss = TwoStepLoss()
    engine = Engine(lambda engine, batch: outputs(seed=engine.state.epoch)[2 * batch : 2 * batch + 2])
    TwoStepScores(loss).attach(engine)
    engine.run(range(3), max_epochs=2)
    assert engine.state.metrics == pytest.approx(evaluated(loss, seed=2))


def test_absent_classes_leave_numbers_or_nan_and_no_crash():
    seen = [{"pred": output["pred"], "label": torch.tensor([0, -1])} for output in outputs()[:2]]
    engine = Engine(lambda engine, batch: seen)
    TwoStepScores(TwoStepLoss()).attach(engine)
    engine.run([0])
    assert np.isfinite(engine.state.metrics["loss"])
    assert np.isnan(engine.state.metrics["type_roc_auc_macro"])
    assert np.isnan(engine.state.metrics["grade_end2end_accuracy"])
