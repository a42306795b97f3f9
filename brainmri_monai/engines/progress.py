"""How far a run is, for the person who waits."""

from __future__ import annotations

import sys

from ignite.engine import Engine, Events
from tqdm import tqdm

from brainmri_monai.engines.distributed import is_main_process

__all__ = ["Progress", "progress_bar"]

QUIET_SECONDS = 60.0  # without a terminal: a line a minute


def progress_bar(total: int, what: str, unit: str, done: int = 0) -> tqdm:
    """A bar with rate and time left; without a terminal, a line a minute; on other ranks, nothing.

    Args:
        total: how many units there are.
        what: shown before the bar.
        unit: what is counted.
        done: how many were done before, by a run that is resumed; they do not count in the rate.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=what,
        file=sys.stderr if terminal else _Lines(),
        unit=f" {unit}",
        leave=not terminal,
        disable=not is_main_process(),
        mininterval=0.1 if terminal else QUIET_SECONDS,
        maxinterval=10.0 if terminal else 2 * QUIET_SECONDS,
        delay=0.0 if terminal else QUIET_SECONDS,
        ascii=not terminal,
        dynamic_ncols=terminal,
    )


class _Lines:
    """Takes what tqdm writes over and over on one line, as lines of their own."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


class Progress:
    """Show the progress of an engine over all its epochs, in batches.

    Args:
        what: shown before the bar.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._open)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        engine.add_event_handler(Events.COMPLETED | Events.TERMINATE | Events.INTERRUPT, self._close)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        self.bar: tqdm | None = None

    def _open(self, engine: Engine) -> None:
        if self.bar is None:
            length = engine.state.epoch_length or 0
            done = length * (engine.state.epoch - 1)
            self.bar = progress_bar(length * engine.state.max_epochs, self.what, "batches", done)
        if engine.state.max_epochs > 1:
            self.bar.set_description(f"{self.what} {engine.state.epoch}/{engine.state.max_epochs}", refresh=False)

    def _advance(self, engine: Engine) -> None:
        self.bar.update()

    def _close(self, engine: Engine) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _fail(self, engine: Engine, error: BaseException) -> None:
        self._close(engine)
        raise error
