"""The command ``brainmri``."""

from __future__ import annotations

import argparse
import ast
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from brainmri_monai import __version__
from brainmri_monai.errors import BrainMRIError

__all__ = ["main"]

DESCRIPTION = "Brain-tumour imaging with MONAI bundles. Research software: not for diagnosis."


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when all went well; 1 when a check found errors, or cases of an inference or evaluation failed; 2 for a
        mistake that is told in a few lines; 130 when interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a test or a notebook took its place
            stream.reconfigure(errors="backslashreplace")  # names of files may be in no encoding at all
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    if rest and known.command not in ("run", "crossval"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    known.rest = rest
    debug = getattr(known, "debug", False)
    try:
        return known.do(known) or 0
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (BrainMRIError, OSError) as error:  # an OSError names the file and the reason
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        hint = ""
        if known.command in ("run", "crossval"):
            same = "without --fresh, the same command" if "--fresh" in rest else "the same command"
            hint = f"; {same} goes on from the last finished epoch"
        print(f"\ninterrupted{hint}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )  # no default, by which a command would undo what stands before it
    parser = argparse.ArgumentParser(prog="brainmri", description=DESCRIPTION, parents=[shared])
    parser.add_argument("--version", action="version", version=f"brainmri {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, do: Any, text: str, **more: Any) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False, **more)
        command.set_defaults(do=do)
        return command

    add("ls", _ls, "list the bundles")

    run = add(
        "run",
        _run,
        "run a workflow of a bundle or of a finished run with MONAI's runner",
        epilog="All other options, such as --dataset_dir DIR --epochs 10, override the configuration.",
    )
    run.add_argument("bundle", help="name of a bundle, its folder, or the folder of a finished run")
    run.add_argument("workflow", choices=["training", "evaluate", "inference", "export"])
    run.add_argument("--config", action="append", default=[], metavar="NAME", help="lay configs/NAME.json over it")
    run.add_argument("--portable", action="store_true", help="inference with MONAI's own transforms, without fast.json")
    run.add_argument(
        "--processes", type=int, default=1, metavar="N", help="train or evaluate on N processes, as torchrun does"
    )

    crossval = add(
        "crossval",
        _crossval,
        "train and evaluate every fold, and report on the out-of-fold predictions",
        epilog="All other options override the configuration, as for `run`.",
    )
    crossval.add_argument("bundle", help="name or folder of a bundle")
    crossval.add_argument("--folds", type=int, default=5, help="number of folds (5)")
    crossval.add_argument("--config", action="append", default=[], metavar="NAME", help="lay configs/NAME.json over it")
    crossval.add_argument("--output_dir", required=True, help="holds fold0, fold1, … and the report")

    compare = add("compare", _compare, "compare runs or cross-validations on the same patients")
    compare.add_argument("runs", nargs="+", metavar="RUN", help="folder of an evaluated run or cross-validation")
    compare.add_argument("--output_dir", required=True, help="where comparison.json and report.html go")

    check = add("check", _check, "find every problem of a data set in one pass")
    check.add_argument(
        "dataset_dir", help="folder or CSV table of labelled patients, folder of BraTS cases, or of slices by class"
    )
    check.add_argument("--convention", metavar="NAME", help="what the labels of BraTS volumes mean, such as brats2023")
    check.add_argument("--datalist", metavar="FILE", help="also check the split of a run, in its datalist.json")
    check.add_argument("--json", action="store_true", help="print JSON for programs")

    phantom = add("phantom", _phantom, "generate a data set that looks like the real thing")
    kinds = phantom.add_subparsers(dest="kind", required=True, metavar="KIND")
    same = argparse.ArgumentParser(add_help=False, parents=[shared])
    same.add_argument("folder", help="a new or empty folder")
    same.add_argument("--seed", type=int, default=0, help="the same seed gives the same files (0)")
    same.add_argument("--spacing", type=float, default=1.0, help="side of a pixel or voxel in mm (1)")
    text = "slices of patients, by type and grade of the tumour"
    patients = kinds.add_parser("patients", help=text, description=text, parents=[same], allow_abbrev=False)
    patients.add_argument("--patients", type=int, default=48, help="how many (48)")
    text = "volumes of gliomas in four modalities with label maps, as BraTS has them"
    volumes = kinds.add_parser("volumes", help=text, description=text, parents=[same], allow_abbrev=False)
    volumes.add_argument("--cases", type=int, default=12, help="how many (12)")
    volumes.add_argument(
        "--convention", default="brats2023", help="brats2018, brats2020, brats2021, brats2023 (the default) or msd"
    )
    return parser


def _ls(arguments: argparse.Namespace) -> None:
    import json

    from brainmri_monai.data.bundles import bundle_names, find_bundle

    for name in bundle_names():
        card = json.loads((find_bundle(name) / "configs/metadata.json").read_text(encoding="utf-8"))
        print(f"{name:36} {card['version']:8} {card['task']}")


def _run(arguments: argparse.Namespace) -> None:
    from brainmri_monai.data import bundles

    if arguments.processes < 1:
        raise BrainMRIError(f"--processes is {arguments.processes}, and has to be 1 or more.\nLeave it out for one.")
    root = bundles.find_bundle(arguments.bundle)
    options = bundles.absolute(_options(arguments.rest))
    if arguments.config and options.get("shipped"):
        raise BrainMRIError(
            "--config and --shipped: the shipped weights have a network of their own.\nGive one of them."
        )
    if arguments.workflow == "export":
        _export(root, options)
        return
    files = bundles.config_files(
        root, arguments.workflow, arguments.config, portable=arguments.portable, processes=arguments.processes
    )
    bundles.check_options(files, options, arguments.workflow)
    options = {"bundle_root": str(root), **options}

    from brainmri_monai.engines.launch import command_line, launch

    words = command_line(arguments.workflow, files, options, arguments.processes)
    print(" ".join(["python", *map(_quoted, words[1:])]), flush=True)
    launch(arguments.workflow, files, options, arguments.processes)


def _export(root: Path, options: dict[str, Any]) -> None:
    from brainmri_monai.deploy.torchscript import export

    unknown = sorted(options.keys() - {"output_dir"})
    if unknown:
        raise BrainMRIError(f"unknown option --{unknown[0]} of export.\nThe option is --output_dir.")
    export(root, options.get("output_dir"))


def _crossval(arguments: argparse.Namespace) -> None:
    if arguments.folds < 2:
        raise BrainMRIError(f"--folds {arguments.folds} leaves nothing to train on.\nGive --folds 2 or more.")
    options = _options(arguments.rest)

    from brainmri_monai.report.crossval import cross_validate  # here and below, so that a mistake costs no waiting

    cross_validate(arguments.bundle, arguments.output_dir, arguments.folds, arguments.config, options)


def _compare(arguments: argparse.Namespace) -> None:
    if len(arguments.runs) < 2:
        raise BrainMRIError("one run given, and there is nothing to compare it with.\nGive two or more runs.")

    from brainmri_monai.report.compare import compare

    compare(arguments.runs, arguments.output_dir)


def _check(arguments: argparse.Namespace) -> int:
    from brainmri_monai.data.check import check_patients

    report = check_patients(arguments.dataset_dir, datalist=arguments.datalist, convention=arguments.convention)
    print(report.to_json() if arguments.json else report.table())
    return report.exit_code


def _phantom(arguments: argparse.Namespace) -> None:
    from brainmri_monai.data import phantom

    same = {"seed": arguments.seed, "spacing": arguments.spacing}
    if arguments.kind == "patients":
        phantom.generate_patients(arguments.folder, arguments.patients, **same)
        print(f"{arguments.patients} generated patients: {arguments.folder}")
    else:
        phantom.generate_volumes(arguments.folder, arguments.cases, convention=arguments.convention, **same)
        print(f"{arguments.cases} generated cases: {arguments.folder}")


def _quoted(word: str) -> str:
    """For a shell, and for people: MONAI's list of files in double quotes, since it holds single ones."""
    return f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)


def _options(words: list[str]) -> dict[str, Any]:
    """``--name value``, ``--name=value`` or a bare ``--name`` (True) → options; values are Python literals or text.

    A path is always text: a folder may be called ``2024_01``, which is a number in Python.
    """
    from brainmri_monai.data.bundles import is_path

    options: dict[str, Any] = {}
    words = list(words)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise BrainMRIError(f"unexpected argument '{word}'.\nOptions are given as --name value.")
        name, has_value, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if not has_value:
            bare = not words or words[0].startswith("--")
            if bare and is_path(name):
                raise BrainMRIError(f"--{name} needs a path.\nGive it as --{name} PATH.")
            value = "True" if bare else words.pop(0)
        options[name] = value if is_path(name) else _value(value)
    return options


def _value(text: str) -> Any:
    if text.lower() in ("true", "false", "null", "none"):
        return {"true": True, "false": False}.get(text.lower())
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError):
        return text


if __name__ == "__main__":
    sys.exit(main())
