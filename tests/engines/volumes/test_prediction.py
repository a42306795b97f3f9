"""How sure an answer in 3D is."""

import pytest
import torch

from brainmri_monai.engines.volumes.prediction import confidence


def test_confidence_is_of_the_tumour_or_of_there_being_none():
    probabilities = torch.full((2, 4, 4, 4), 0.1)
    probabilities[1, 0, 0, :2] = 0.9
    assert confidence(probabilities, ["TC", "WT"], found=True) == pytest.approx(0.9)
    assert confidence(probabilities, ["TC", "WT"], found=False) == pytest.approx(0.1)  # too small to count
    assert confidence(probabilities[:1], ["TC"], found=False) == pytest.approx(0.9)
