"""Templates → pages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brainmri_monai.data.splits import PARTS

__all__ = ["interval", "render"]


def render(template: str, **context: Any) -> str:
    """A template of this package with what it shows.

    Filters: ``number`` (with so many digits), ``interval``, ``duration``, ``moment``.
    """
    from jinja2 import ChainableUndefined, Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("brainmri_monai.report"),
        autoescape=True,
        undefined=ChainableUndefined,  # a run of another version may lack a field: its place stays empty
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, interval=interval, duration=_duration, moment=_moment)
    environment.globals.update(PARTS=PARTS)
    return environment.get_template(template).render(**context)


def _number(value: Any, digits: int = 2) -> str:
    """A dash stands for a number that does not exist."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(entry: Mapping[str, float] | None, digits: int = 2) -> str:
    """A value with its bounds, for a template or a text beside a picture."""
    if not entry:
        return "–"
    value, low, high = (_number(entry.get(key), digits) for key in ("value", "low", "high"))
    return value if entry.get("low") is None else f"{value} ({low} to {high})"


def _moment(text: str) -> str:
    """An ISO time to the minute."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return text


def _duration(seconds: float) -> str:
    """Two units at most: 42 s, 3 min 5 s, 2 h 7 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
