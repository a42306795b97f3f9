"""What the benchmarks share: both sides in turns, medians, and a line for each figure."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from monai.bundle import ConfigWorkflow

from brainmri_monai.data.bundles import config_files

__all__ = ["alternate", "elsewhere", "report", "report_score", "timed", "trainer_steps", "workflow"]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Medians of the seconds of each work, done in turns; the first round warms up and does not count."""
    seconds = [[timed(work) for work in works] for _ in range(rounds + 1)][1:]
    return [median(column) for column in zip(*seconds, strict=True)]


def workflow(
    bundle: Path, name: str, data: Path, output: Path, overrides: Sequence[str] = (), **options: object
) -> ConfigWorkflow:
    """The workflow that ``brainmri run BUNDLE NAME`` starts, ready to run."""
    made = ConfigWorkflow(
        config_file=[str(file) for file in config_files(bundle, name, overrides)],
        workflow_type="train" if name == "training" else name,
        run_id=name,
        **{"bundle_root": str(bundle), "dataset_dir": str(data), "output_dir": str(output), **options},
    )
    made.initialize()
    return made


def trainer_steps(made: ConfigWorkflow, loader: object, count: int) -> Callable[[], None]:
    """``count`` steps of the bundle's own trainer over a loader, without validation and bookkeeping."""
    trainer = made.parser.get_parsed_content("train#trainer")

    def steps() -> None:
        batches = iter(loader)
        for _ in range(count):
            trainer._iteration(trainer, next(batches))

    return steps


def elsewhere(make: Callable[..., Any], *arguments: object) -> Callable[[int], None]:
    """The method ``steps`` of what ``make`` makes, in a process of its own, which our settings do not reach."""
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _make, (make, *arguments))
    return lambda count: pool.submit(_steps, count).result()


def _make(make: Callable[..., Any], *arguments: object) -> None:
    global _made
    _made = make(*arguments)


def _steps(count: int) -> None:
    _made.steps(count)


def report(name: str, ours: float, reference: float, target: float, unit: str, *, most: bool) -> bool:
    """Print a line; ``most``: the ratio reference / ours must be at least the target, else ours / reference at most."""
    ratio = reference / ours if most else ours / reference
    good = ratio >= target if most else ratio <= target
    sign = ">=" if most else "<="
    print(
        f"{name}: ours {ours:.4g} {unit}, reference {reference:.4g} {unit}, ratio {ratio:.2f}, "
        f"target {sign} {target} {'met' if good else 'MISSED'}",
        flush=True,
    )
    return good


def report_score(name: str, ours: float, target: float) -> bool:
    """Print a line on a score that must be at least the target."""
    good = ours >= target
    print(f"{name}: {ours:.4f}, target >= {target:.4g} {'met' if good else 'MISSED'}", flush=True)
    return good
