"""What is said of temperatures and minimum volumes that are not to be trusted."""

from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine

from brainmri_monai.engines.volumes.calibration import VolumeCalibration, doubts_of_fit


def test_fitted_numbers_at_the_end_of_their_range_are_told():
    assert doubts_of_fit({"TC": 1.2, "WT": 0.4}, {"TC": 0.0, "WT": 1.0}, cases=5) == []
    cold, hot, large = doubts_of_fit({"TC": 0.1001, "WT": 9.9999}, {"TC": 2.0, "WT": 1.0}, cases=5)
    assert cold.startswith("the temperature of TC, 0.1, lies at the end")
    assert hot.startswith("the temperature of WT, 10, lies at the end")
    assert large.startswith("the minimum volume of TC, 2 ml, lies at the end")


def test_few_validation_cases_are_told():
    (note,) = doubts_of_fit({"TC": 1.2}, {"TC": 0.0}, cases=4)
    assert "fitted on 4 validation cases, which are few" in note


def test_what_was_fitted_before_stays_when_no_case_could_be_seen():
    network = SimpleNamespace(temperature=torch.tensor([1.5, 0.8]), minimum_ml=torch.tensor([0.0, 0.1]))
    calibration = VolumeCalibration(network, prediction=None, cases=None)
    engine = Engine(lambda engine, batch: [])
    calibration.attach(engine)
    engine.run([0])
    assert network.temperature.tolist() == [1, 1]
    assert calibration.fit() == 0
    assert network.temperature.tolist() == pytest.approx([1.5, 0.8])
    assert network.minimum_ml.tolist() == pytest.approx([0, 0.1])
