"""Bundles on disk: where they lie, the configurations of a workflow, and the options that these have."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import brainmri_monai
from brainmri_monai.data.options import check_values
from brainmri_monai.errors import BrainMRIError

__all__ = ["WORKFLOWS", "absolute", "bundle_names", "check_options", "config_files", "find_bundle", "is_path"]

# workflow, which is also the id that is run → the configurations that make it up
WORKFLOWS = {
    "training": ("train.json",),
    "evaluate": ("train.json", "evaluate.json"),
    "inference": ("inference.json", "fast.json"),
}
# laid over them on several processes
DISTRIBUTED = {"training": "multi_gpu_train.json", "evaluate": "multi_gpu_evaluate.json"}
NO_OVERRIDES = {*itertools.chain(*WORKFLOWS.values()), *DISTRIBUTED.values(), "metadata.json"}
RUNNER_OPTIONS = ("args_file", "logging_file", "meta_file", "save_execute_config", "tracking")
PATH_SUFFIXES = ("_dir", "_file", "_root", "pretrained")
PATHS = ("image",)
PATH_LISTS = ("ensemble",)
FOUND_BY_THE_RUNNER = ("imports", "initialize", "finalize", "run")
# weights are right for these alone
TRAINED = ("image_size", "spacing", "dropout", "types", "classes", "regions", "modalities", "unlearnt", "network_def")
# workflow → options that name other weights than the bundle's own, which may have been trained with anything
OTHER_WEIGHTS = {"inference": {"ckpt_dir"}, "evaluate": {"ckpt_dir", "output_dir"}}
_NOTHING = object()


def bundles_folder() -> Path:
    """Where the bundles lie: in the installed package, or beside it in a checkout."""
    package = Path(brainmri_monai.__file__).resolve().parent
    return package / "bundles" if (package / "bundles").is_dir() else package.parent / "bundles"


def bundle_names() -> list[str]:
    """Names of the bundles that come with the package."""
    return sorted(path.parent.parent.name for path in bundles_folder().glob("*/configs/metadata.json"))


def find_bundle(name: str) -> Path:
    """A bundle by its name, or by its folder: a checkout's, a copy, or a finished run.

    Raises:
        BrainMRIError: when there is no such bundle; suggests the nearest.
    """
    for root in (Path(name), bundles_folder() / name):
        if (root / "configs/metadata.json").is_file():
            return root.resolve()
    near = difflib.get_close_matches(name, bundle_names(), n=1, cutoff=0.4)
    raise BrainMRIError(
        f"no bundle or run '{name}'{f'; did you mean {near[0]}?' if near else '.'}\n"
        f"There are: {', '.join(bundle_names())}; or give the folder of a run."
    )


def config_files(
    root: Path, workflow: str, overrides: Sequence[str] = (), *, portable: bool = False, processes: int = 1
) -> list[Path]:
    """The configurations of a workflow, and overrides by name (``mean``) or path.

    Args:
        root: the bundle.
        workflow: ``training``, ``evaluate`` or ``inference``.
        overrides: laid over it in this order.
        portable: inference by MONAI's own parts alone, without ``fast.json``.
        processes: how many run it.

    Raises:
        BrainMRIError: when an override is missing, or the workflow is not for several processes.
    """
    names = [name for name in WORKFLOWS[workflow] if not (portable and name == "fast.json")]
    if processes > 1:
        if workflow not in DISTRIBUTED:
            raise BrainMRIError(f"--processes is for {' and '.join(DISTRIBUTED)}, not for {workflow}.\nLeave it out.")
        names.append(DISTRIBUTED[workflow])
    files = [root / "configs" / name for name in names]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise BrainMRIError(f"{missing} is missing: {root} cannot run '{workflow}'.\nTrain again, or restore the file.")
    end = 1 if workflow in DISTRIBUTED else len(files)  # what follows train.json has the last word
    for position, override in enumerate(overrides, start=end):
        candidates = [Path(override), root / "configs" / override, root / "configs" / f"{override}.json"]
        found = next((path for path in candidates if path.is_file() and path.name not in NO_OVERRIDES), None)
        if found is None:
            there = sorted(path.stem for path in (root / "configs").glob("*.json") if path.name not in NO_OVERRIDES)
            raise BrainMRIError(
                f"no configuration '{override}' to lay over another in {root / 'configs'}.\n"
                f"Give {', '.join([*there, 'or ' * bool(there) + 'the path of a file'])}."
            )
        files.insert(position, found.resolve())
    return files


def check_options(files: Sequence[Path], options: Mapping[str, Any], workflow: str = "training") -> None:
    """MONAI's runner takes unknown options in silence; here they are refused.

    Raises:
        BrainMRIError: for an option that the configurations do not have, or that the workflow does not read; suggests
            the nearest. For data that are not there, a value that is not allowed, a tracker that is not installed, and
            a configuration that is not JSON.
    """
    for name in ("dataset_dir", "pretrained", *PATHS):
        data = options.get(name)
        if data is not None and not Path(data).exists():
            raise BrainMRIError(f"--{name} {data} does not exist.\nCheck the path.")
    merged: dict[str, Any] = {}
    for file in files:
        for key, value in _read(file).items():
            _lay_over(merged, key, value)
    read = _read_by(merged, [workflow, *FOUND_BY_THE_RUNNER])
    inference = files[0].with_name("inference.json")
    if workflow == "training" and inference.is_file():
        read |= set(_read(inference))  # which takes these from the run
    own_weights = workflow in OTHER_WEIGHTS and not OTHER_WEIGHTS[workflow] & options.keys()
    for option in (name for name in options if name not in RUNNER_OPTIONS):
        path = re.split("#|::", option)
        if not _has(merged, path):
            raise _unknown(option, merged, read, files[0])
        if own_weights and path[0] in TRAINED:
            _require_as_trained(option, options[option], _part(merged, path))
        if path[0] not in read:
            of = "of the training, and" if workflow != "training" else "not read by these configurations, and"
            raise BrainMRIError(f"--{option} is {of} changes nothing for {workflow}.\nLeave it out.")
    check_values(options)
    if "folds" in options and (merged | options).get("fold") is None:
        raise BrainMRIError(
            f"--folds {options['folds']} alone changes nothing: which fold is the test?\n"
            "Give --fold too, or run every fold with: brainmri crossval."
        )
    if options.get("new_layers") and not (merged | options).get("pretrained"):
        raise BrainMRIError("--new_layers without --pretrained: all layers are new.\nGive both, or leave it out.")
    if options.get("tracking") == "mlflow" and find_spec("mlflow") is None:
        raise BrainMRIError("--tracking mlflow: mlflow is not installed.\nRun: pip install 'brainmri_monai[mlflow]'")


def _unknown(option: str, merged: Mapping[str, Any], read: set[str], file: Path) -> BrainMRIError:
    fast = file.with_name("fast.json")
    if file.name == "inference.json" and fast.is_file() and _has(_read(fast), re.split("#|::", option)):
        return BrainMRIError(f"--{option} is not for inference with --portable.\nLeave out one of the two.")
    known = [key for key in merged if key in read and key not in (*FOUND_BY_THE_RUNNER, *WORKFLOWS)]
    names = [key for key in known if _is_option(merged, key)]
    near = difflib.get_close_matches(option, names, n=1, cutoff=0.5)
    return BrainMRIError(
        f"unknown option --{option}{f'; did you mean --{near[0]}?' if near else '.'}\n"
        f"Options: {', '.join(names)}; or the id of any part, such as --train#trainer#max_epochs."
    )


def _require_as_trained(option: str, value: Any, trained: Any) -> None:
    """Refuse what the weights were not trained with: they would answer all the same."""
    if value != trained:
        known = "" if isinstance(trained, (dict, list)) or "@" in str(trained) else f": {trained}, not {value}"
        raise BrainMRIError(
            f"--{option} is fixed by the training of the weights{known}.\nLeave it out, or train with it."
        )


def absolute(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with paths made absolute from the current folder."""
    made = {key: _absolute(value) for key, value in options.items() if is_path(key)}
    made |= {key: [_absolute(one) for one in options[key]] for key in PATH_LISTS if isinstance(options.get(key), list)}
    return {**options, **made}


def _absolute(path: Any) -> Any:
    return str(Path(path).expanduser().absolute()) if isinstance(path, str) and path else path


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrainMRIError(f"the configuration {file} is not JSON: {error}.\nCorrect this place.") from error
    if not isinstance(config, dict):
        raise BrainMRIError(f"the configuration {file} holds a {type(config).__name__}.\nGive ids and their values.")
    return config


def _lay_over(config: dict[str, Any], key: str, value: Any) -> None:
    """Set an item as MONAI does: the id names a part with ``#``, and ``+`` before it adds to what is there."""
    *parents, last = key.lstrip("+").replace("::", "#").split("#")
    for name in parents:
        config = config[int(name)] if isinstance(config, list) else config.setdefault(name, {})
    if isinstance(config, list):
        config[int(last)] = value
    elif key.startswith("+") and last in config:
        config[last] = {**config[last], **value} if isinstance(value, dict) else [*config[last], *value]
    else:
        config[last] = value


def _read_by(config: Mapping[str, Any], roots: Iterable[str]) -> set[str]:
    """Names of the items that some items refer to, directly or through others."""
    found, waiting = set(), list(roots)
    while waiting:
        item = waiting.pop()
        if item not in found and _has(config, item.split("#")):
            found.add(item)
            waiting += re.findall(r"[@%](\w+(?:#\w+)*)", json.dumps(_part(config, item.split("#"))).replace("::", "#"))
    return {item.split("#")[0] for item in found}


def _is_option(config: Mapping[str, Any], key: str) -> bool:
    """Whether an item is a value, and not a part or what is made of one."""
    value = config.get(key)
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value)):
        return False
    return all(_is_option(config, name) for name in re.findall(r"@(\w+)", str(value)))


def _has(config: Any, path: Sequence[str]) -> bool:
    return _part(config, path) is not _NOTHING


def _part(config: Any, path: Sequence[str]) -> Any:
    """The item at a path, or ``_NOTHING``."""
    for name in path:
        if isinstance(config, list) and name.isdigit() and int(name) < len(config):
            config = config[int(name)]
        elif isinstance(config, dict) and name in config:
            config = config[name]
        else:
            return _NOTHING
    return config


def is_path(key: str) -> bool:
    """Whether the value of an option is a path, by the option's name."""
    return key in PATHS or key.endswith(PATH_SUFFIXES)
