"""The configuration that MONAI's runner is running, as it was written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from copy import deepcopy
from types import TracebackType
from typing import Any

from monai.bundle import ConfigParser

from brainmri_monai.errors import BrainMRIError

__all__ = ["differences", "running_parser", "without_tracking"]

TRACKING_KEYS = ("experiment_name", "is_not_rank0", "run_name", "save_execute_config", "tracking_uri")


def running_parser() -> ConfigParser:
    """The parser that is making the component which calls this.

    MONAI hands its components their arguments, but not the configuration that they stand in, and a run has to record it
    with all its overrides. The parser is found among the callers; ``python -m monai.bundle run``, ``brainmri run`` and
    ``ConfigWorkflow`` all have one. From here on an uncaught error ends with the words of a ``BrainMRIError``.

    Raises:
        RuntimeError: when no parser is making anything.
    """
    sys.excepthook = _our_words_last
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, ConfigParser):
            return caller
        frame = frame.f_back
    raise RuntimeError("no MONAI configuration is running: make this component from a bundle's configuration")


def _our_words_last(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the usual traceback, and our three lines after it: MONAI wraps them in errors of its own."""
    sys.__excepthook__(kind, error, trace)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, BrainMRIError):
        cause = cause.__cause__
    if cause is not None and cause is not error:
        print(f"\n{cause}", file=sys.stderr)


def without_tracking(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of a raw configuration without what ``--tracking mlflow`` adds to it."""
    config = deepcopy({key: value for key, value in config.items() if key not in TRACKING_KEYS})
    for section in config.values():
        handlers = section.get("handlers") if isinstance(section, dict) else None
        if isinstance(handlers, list):
            section["handlers"] = [handler for handler in handlers if not _tracks(handler)]
    return config


def _tracks(handler: Any) -> bool:
    return isinstance(handler, dict) and str(handler.get("_target_", "")).endswith("MLFlowHandler")


def differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two raw configurations differ.

    Yields:
        The id of an item and both its values; ``None`` where it does not stand.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            yield from differences(before.get(name), now.get(name), f"{key}#{name}" if key else name)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from differences(old, new, f"{key}#{number}")
    elif before != now:
        yield key, before, now
