"""What an evaluator says of each case, from all processes."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from ignite.engine import Engine, Events

from brainmri_monai.engines.distributed import gather

__all__ = ["Collect"]


class Collect:
    """Keep what an evaluator says whose iterations give a list, an item a case, such as ``BagPrediction``'s.

    Attributes:
        predictions: of the last run.
    """

    def __init__(self) -> None:
        self.predictions: list[Any] = []

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.COMPLETED, self._gather)

    def _start(self, engine: Engine) -> None:
        self.predictions = []

    def _add(self, engine: Engine) -> None:
        self.predictions += engine.state.output

    def _gather(self, engine: Engine) -> None:
        turns = zip_longest(*gather([self.predictions]))  # as MONAI's sampler dealt them out to the processes
        self.predictions = [prediction for turn in turns for prediction in turn if prediction is not None]
