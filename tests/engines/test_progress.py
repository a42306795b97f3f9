import pytest
from ignite.engine import Engine

from brainmri_monai.engines import Progress


def test_epochs_of_an_earlier_run_count_as_done_but_not_in_the_rate():
    progress, seen = Progress("training"), []
    engine = Engine(lambda engine, batch: seen.append((progress.bar.n, progress.bar.initial, progress.bar.total)))
    progress.attach(engine)
    engine.load_state_dict({"epoch": 2, "max_epochs": 3, "epoch_length": 4})
    engine.run(range(4))
    assert seen == [(8, 8, 12), (9, 8, 12), (10, 8, 12), (11, 8, 12)]
    assert progress.bar is None


def test_bar_is_closed_when_the_training_fails():
    progress = Progress("training")

    def fail(engine, batch):
        raise ValueError("broken")

    engine = Engine(fail)
    progress.attach(engine)
    with pytest.raises(ValueError, match="broken"):
        engine.run(range(4))
    assert progress.bar is None
