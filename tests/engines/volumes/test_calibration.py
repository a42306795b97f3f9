"""What is said of temperatures and minimum volumes that are not to be trusted."""

from brainmri_monai.engines.volumes.calibration import doubts_of_fit


def test_fitted_numbers_at_the_end_of_their_range_are_told():
    assert doubts_of_fit({"TC": 1.2, "WT": 0.4}, {"TC": 0.0, "WT": 1.0}, cases=5) == []
    cold, hot, large = doubts_of_fit({"TC": 0.1001, "WT": 9.9999}, {"TC": 2.0, "WT": 1.0}, cases=5)
    assert cold.startswith("the temperature of TC, 0.1, lies at the end")
    assert hot.startswith("the temperature of WT, 10, lies at the end")
    assert large.startswith("the minimum volume of TC, 2 ml, lies at the end")


def test_few_validation_cases_are_told():
    (note,) = doubts_of_fit({"TC": 1.2}, {"TC": 0.0}, cases=4)
    assert "fitted on 4 validation cases, which are few" in note
