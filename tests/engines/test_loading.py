"""Batches from a thread."""

import pytest
from monai.data import Dataset

from brainmri_monai.engines import ThreadLoader


def test_the_batches_are_those_of_the_data():
    assert [batch.tolist() for batch in ThreadLoader(Dataset([1, 2, 3]), batch_size=2)] == [[1, 2], [3]]


def test_what_goes_wrong_in_the_thread_is_raised():
    def fail_at_three(item: int) -> int:
        if item == 3:
            raise OSError("a file is gone")
        return item

    batches = iter(ThreadLoader(Dataset([1, 2, 3, 4], fail_at_three)))
    assert [int(next(batches)), int(next(batches))] == [1, 2]
    with pytest.raises(RuntimeError, match="applying transform"):
        next(batches)
