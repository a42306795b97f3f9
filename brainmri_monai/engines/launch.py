"""MONAI's runner, with errors that are freed from its wrapping."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from brainmri_monai.data.bundles import bundles_folder, is_path
from brainmri_monai.errors import BrainMRIError

__all__ = ["command_line", "launch", "unwrapped"]

FAILED_CASES, TOLD, CRASHED, INTERRUPTED = 1, 2, 3, 130
"""With what a process of several ends: its work is done, but for cases that failed; an error of ours; another one; by
the user."""


def command_line(run_id: str, files: Sequence[Path], options: Mapping[str, Any], processes: int = 1) -> list[str]:
    """The command of MONAI's runner that does the same, as words."""
    words = [sys.executable, "-m", "monai.bundle", "run", run_id]
    if processes > 1:
        words[1:2] = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m"]
    names = [str(file) for file in files]
    words += ["--config_file", names[0] if len(names) == 1 else str(names)]
    for key, value in options.items():
        words += [f"--{key}", str(value)]
    return words


def launch(run_id: str, files: Sequence[Path], options: Mapping[str, Any], processes: int = 1) -> None:
    """Run configurations with MONAI's runner: in this process, or in several with torchrun.

    Raises:
        BrainMRIError: whatever was found wrong, freed from MONAI's wrapping; for a mistake in a configuration, the
            key, the file and the reason.
        SystemExit: with the exit code 1 of an inference or evaluation in which cases failed.
    """
    for key, value in options.items():
        if is_path(key) and any(separator in str(value) for separator in ("#", "::")):
            raise BrainMRIError(
                f"--{key} {value}: MONAI's configurations take # and :: for the separators of their ids.\n"
                "Give a path without them; a link to the folder will do."
            )
    if processes > 1:
        _launch_processes(run_id, files, options, processes)
        return
    from monai.bundle import run

    for name in ("scripts", "workflows"):
        logging.getLogger(f"monai.bundle.{name}").setLevel(logging.WARNING)  # they repeat the command line
    # readers of MONAI tell of a decoder of NVIDIA that nobody asked for
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
    if all(bundles_folder() in Path(file).parents for file in files):
        warnings.filterwarnings("ignore", message="parsing config_file")  # it warns of code by strangers
    try:
        run(run_id=run_id, config_file=[str(file) for file in files], **options)
    except Exception as error:
        raise unwrapped(error, files) from error


def _launch_processes(run_id: str, files: Sequence[Path], options: Mapping[str, Any], processes: int) -> None:
    """As ``torchrun --standalone`` does, without its tracebacks on top of what the processes tell."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # an interrupted process leaves it semaphores
    config = LaunchConfig(
        1, 1, processes, run_id=run_id, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0
    )
    threads = max(1, (os.cpu_count() or 1) // processes)
    logging.disable(logging.ERROR)  # this process runs none of the work, and the others tell what they meet
    try:
        elastic_launch(config, _launch_one)(run_id, files, options, threads)
    except SignalException as error:
        raise KeyboardInterrupt from error
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in (FAILED_CASES, TOLD):
            raise SystemExit(failure.exitcode) from error
        how = f"signal {-failure.exitcode}" if failure.exitcode < 0 else f"exit code {failure.exitcode}"
        raise BrainMRIError(
            f"process {rank} of {processes} ended with {how}.\n"
            "When it said nothing, memory may have run out: try fewer --processes or a smaller --batch_size."
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def _launch_one(run_id: str, files: Sequence[Path], options: Mapping[str, Any], threads: int) -> None:
    """What each process does; it tells its own errors."""
    try:
        import torch

        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(threads)
        launch(run_id, files, options)
    except BrainMRIError as error:
        if os.environ["RANK"] != "0":
            time.sleep(5)  # most likely the first process met the same: when it ends, so does this one
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(TOLD)  # without the process group's teardown, which may abort when the other side is gone
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it comes twice: from the terminal, and from the other process
        sys.stdout.flush()
        os._exit(INTERRUPTED)
    except Exception:
        traceback.print_exc()
        raise SystemExit(CRASHED) from None


def unwrapped(error: BaseException, files: Sequence[Path]) -> BaseException:
    """The reason behind an error of MONAI's resolver: ours as it is, another one with its key and file."""
    chain = list(_causes(error))
    ours = next((cause for cause in chain if isinstance(cause, BrainMRIError)), None)
    if ours is not None:
        return ours
    keys = [key for cause in chain for key in _resolving(cause)]
    if not keys:
        return error
    key = keys[-1].replace("::", "#")
    file = next((file for file in reversed(files) if _sets(file, key)), files[0])
    reason = " ".join(str(chain[-1]).split()) or type(chain[-1]).__name__
    return BrainMRIError(
        f"{key} in {file} failed: {type(chain[-1]).__name__}: {reason[:300]}\n"
        "Correct this part of the configuration or the option that changes it; --debug shows the whole trace."
    )


def _sets(file: Path, key: str) -> bool:
    """Whether a configuration has the item of an id, as a whole or as a part: an override may name either."""
    from monai.bundle import ConfigParser

    names = (name.lstrip("+") for name in ConfigParser.load_config_file(file))
    return any(f"{key}#".startswith(f"{name}#") or name.startswith(f"{key}#") for name in names)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _resolving(error: BaseException) -> Iterator[str]:
    """Ids that MONAI's resolver was making when the error arose, the innermost last."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "_resolve_one_item":
            yield trace.tb_frame.f_locals["id"]
        trace = trace.tb_next
