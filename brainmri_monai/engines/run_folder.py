"""The folder of a run: what was decided, whose weights it holds, and from where it resumes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import torch
from monai.utils import set_determinism
from torch import nn

import brainmri_monai
from brainmri_monai.data.datalist import Datalist, file_digest
from brainmri_monai.data.patients import Problem
from brainmri_monai.engines.config import differences, running_parser
from brainmri_monai.engines.distributed import is_main_process, main_process_first, processes
from brainmri_monai.engines.options import require_device, require_values
from brainmri_monai.engines.precision import choose_precision
from brainmri_monai.engines.run_bundle import RunBundle
from brainmri_monai.engines.weights import load_weights, save
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import require_writable, write_json

__all__ = ["RunFolder", "default_output_dir"]

D = TypeVar("D", bound=Datalist)

# a resumed run may change these: where things lie, how long to train, and what follows from the data
FREE_OPTIONS = {"bundle_root", "dataset_dir", "output_dir", "ckpt_dir", "cache_dir", "epochs", "fresh"}
FREE_OPTIONS |= {"device", "types", "classes", "imports", "_meta_"}
PREPARED = ("image_size", "spacing", "regions")  # with others the weights would answer all the same
PACKAGES = ("torch", "monai", "numpy", "pytorch-ignite", "scikit-learn", "pillow", "nibabel", "itk")
# nothing of it outlives the weights that it was made with
MADE_BY_WEIGHTS = ("metrics_test.json", "test_predictions.csv", "attention.csv", "segmentations", "figures")
MADE_BY_WEIGHTS = (*MADE_BY_WEIGHTS, "models/model.ts")
WEIGHTS = ("model.pt", "last.pt", "model.ts")
LEFT_BY_A_RUN = ("datalist.json", "known.txt", "history.json", "report.html", "events", "external", "inference")
LEFT_BY_A_RUN = (*LEFT_BY_A_RUN, *MADE_BY_WEIGHTS, "run.json")  # last: without it nothing here is known to be of a run


def default_output_dir(bundle_root: str | Path, *below: str) -> str:
    """Where a workflow writes when it is not told: never into a bundle as shipped, nor into the package.

    Args:
        bundle_root: the bundle. A finished run is one too, and holds what is made from it.
        below: folders below it, such as ``inference``.

    Returns:
        ``<run>/…`` for a finished run; else ``runs/<bundle>/…`` in the current folder, or in the home folder when the
        current one belongs to the bundle or the package.
    """
    root = Path(bundle_root).resolve()
    if (root / "run.json").exists():
        return str(root.joinpath(*below))
    here = Path.cwd()
    if _is_ours(here, root):
        here = Path.home() / "brainmri"
    return str(here.joinpath("runs", root.name, *below))


class RunFolder:
    """``<output_dir>``, where a run writes what it decided, and from which it resumes.

    Args:
        output_dir: the folder.
        ckpt_dir: where the weights lie; usually ``<output_dir>/models``.
        bundle_root: the bundle that is run.
        precision: as asked for; see :attr:`precision`.
        device: what the network runs on.
        seed: of the whole run.
        epochs: how many are asked for.
        fresh: delete what an earlier run left here, instead of resuming it.

    Raises:
        BrainMRIError: when the folder belongs to a bundle or the package, an option has a value that is not allowed, or
            the device is not there.
    """

    fits: ClassVar[bool] = True  # whether an evaluation on the own test fits constants, and saves them with the weights
    own_test: ClassVar[str] = ""  # the folder of its results

    def __init__(
        self,
        output_dir: str | Path,
        ckpt_dir: str | Path,
        bundle_root: str | Path,
        precision: str,
        device: str | torch.device,
        seed: int,
        epochs: int,
        fresh: bool = False,
    ) -> None:
        self.parser = running_parser()
        require_values(self.parser)
        self.path = Path(output_dir).resolve()
        self.bundle = RunBundle(self.path, Path(bundle_root).resolve(), self.parser)
        self.ckpt_dir = Path(ckpt_dir).resolve()
        self.device = require_device(device)
        self.seed = seed
        self.epochs = epochs
        for folder in (self.path, self.ckpt_dir):
            if _is_ours(folder, self.bundle.source) and not (self.bundle.source / "run.json").exists():
                raise BrainMRIError(
                    f"the output folder {folder} lies in a bundle or in the package.\n"
                    "Give a folder elsewhere with --output_dir."
                )
        with main_process_first():
            if fresh and is_main_process():
                self._clear()
        self.record: dict[str, Any] = self._read("run.json") or {}
        self._precision = precision

    @property
    def precision(self) -> str:
        """What the arithmetic of this run is done in; a resumed run keeps what it began with."""
        return self.record.get("precision") or choose_precision(self._precision, self.device)

    @property
    def last(self) -> Path:
        """What a resume needs."""
        return self.ckpt_dir / "last.pt"

    @property
    def best(self) -> Path:
        """The best weights, a plain state dict."""
        return self.ckpt_dir / "model.pt"

    @property
    def trained_on(self) -> Path:
        """The datalist that the weights were made with."""
        return self.path / "datalist.json"

    def network(self, configured: nn.Module) -> nn.Module:
        """The network that :attr:`best` belongs to."""
        return configured

    def restored(self, network: nn.Module) -> nn.Module:
        """The network as the training in this folder left it, or as it is when none has begun."""
        if self.last.exists():
            network.load_state_dict(load_weights(self.last, map_location=self.device)["network"])
        return network

    def results(self, datalist: Datalist) -> Path:
        """Where an evaluation on a datalist writes: here, or below for an external test.

        Other data of the same name, or another ensemble, have a folder of their own, ``<name>-2`` and so on.
        """
        if datalist.split["method"] != "external":
            return self.path / self.own_test
        name = re.sub(r"[^\w.-]+", "_", datalist.name) + ("-ensemble" if "ensemble" in datalist.split else "")
        folders = (f"external/{name}{f'-{number}' if number > 1 else ''}" for number in count(1))
        return next(self.path / folder for folder in folders if self._is_free(folder, datalist))

    def external(
        self,
        datalist: D,
        root: Path,
        layout: str,
        entries: Iterable[dict[str, Any]],
        problems: Iterable[Problem],
        others: Iterable[D] = (),
    ) -> D:
        """Give another data set as the test of this run (see ``Datalist.external``), with the doubts of its weights.

        Raises:
            BrainMRIError: when it holds a patient or an image that the run, or one of the ``others``, was trained on;
                ``known.txt`` names them where there are several.
        """
        external = datalist.external(root, layout, entries, problems, self.path / "known.txt", others)
        external.split["notes"] += self.doubts
        return external

    @property
    def is_finished(self) -> bool:
        """Whether this run has done all the epochs that are asked for, or stopped early."""
        done = self.record.get("finished") and self.last.exists()
        return bool(done) and (self.record.get("stopped_early", False) or self.record["epochs"] >= self.epochs)

    @property
    def doubts(self) -> list[str]:
        """What a reader of an external test has to know of the weights of this run, if it is them that answer."""
        if self.parser.get("ensemble"):
            return []
        tested = (self._read("metrics_test.json") or {"weights": ""}).get("weights")
        if tested is None or tested == file_digest(self.best):  # earlier versions did not tell which
            return []
        return ["these weights are not calibrated: evaluate the run on its own test first, without --dataset_dir"]

    @property
    def made_of(self) -> dict[str, str]:
        """What tells the weights of this run from all others: digests of the data and the split, and its own name."""
        digests = self.record.get("digests", {})
        return {"data": digests.get("data", ""), "split": digests.get("split", ""), "run": self.record.get("id", "")}

    def _require_own_weights(self) -> None:
        """
        Raises:
            BrainMRIError: when ``ckpt_dir`` holds weights that are not of this run: of another one, when two share the
                folder, or of a run that is not known.
        """
        stray = next((self.ckpt_dir / name for name in WEIGHTS if (self.ckpt_dir / name).exists()), None)
        if stray is None:
            return
        configured = (self._read("configs/train.json") or {}).get("ckpt_dir", "")
        if self.record and self.last.exists():
            theirs = load_weights(self.last, mmap=True).get("made_of") or {"run": "unknown"}
            if theirs.items() <= self.made_of.items():  # runs of earlier versions kept no ``run``
                return
            raise BrainMRIError(
                f"{self.last} is of another run than {self.path}.\n"
                "Give each run a --ckpt_dir of its own, or leave it out."
            )
        if not self.record or self.ckpt_dir not in (self.path / "models", Path(configured).resolve()):
            raise BrainMRIError(
                f"{stray} is not known to be of a run in {self.path}.\n"
                "Give another --output_dir or --ckpt_dir, or move it away; with its own last.pt it is known."
            )

    def require_same_run(self) -> None:
        """
        Raises:
            BrainMRIError: when the folder holds weights of an unknown run, a run of another bundle, or one with other
                options; names the first one.
        """
        self._require_own_weights()
        if not self.record:
            return
        if not self.last.exists():
            if (self.path / "history.json").exists():
                raise self._other_run(f"a run whose last.pt is not in {self.ckpt_dir}")
            return  # nothing was trained yet: nothing is lost
        bundle = self.record["bundle"]
        if bundle != self.bundle.name:
            raise self._other_run(f"a run of the bundle {bundle}, not of {self.bundle.name}")
        before = self._read("configs/train.json") or {}
        changed = [
            (key, old, new)
            for key, old, new in differences(before, self.bundle.config())
            if key.split("#")[0] not in FREE_OPTIONS
        ]
        if changed:
            key, old, new = changed[0]
            more = f" (and {len(changed) - 1} more options)" if len(changed) > 1 else ""
            raise self._other_run(f"a run with {key} = {_short(old)}, and now it is {_short(new)}{more}")

    def require_same_input(self) -> None:
        """
        Raises:
            BrainMRIError: when an evaluation would prepare images otherwise than the network was trained on them, or
                has the weights of another run, which may have been trained on what is the test here.
        """
        self._require_own_weights()
        if self.record and self.last.exists() and not self.record["finished"] and is_main_process():
            print("note: the training of this run is not finished; its best weights so far are tested")
        names, trained = (*PREPARED, "precision"), self.record.get("options", {})
        self._require_options(names, trained, f"run the evaluation from {self.path}, which knows it")

    def _require_options(self, names: Sequence[str], trained: Mapping[str, Any], otherwise: str) -> None:
        for name in names:
            now = self.parser.get(name)
            if name in trained and now != trained[name]:
                raise BrainMRIError(
                    f"the weights were trained with {name} {trained[name]}, not {now}.\n"
                    f"Give --{name} {trained[name]}, or {otherwise}."
                )

    def require_no_fit(self, *names: str) -> None:
        """
        Raises:
            BrainMRIError: when an option of the fit is given to an evaluation that fits nothing.
        """
        usual = self.bundle.evaluation()
        for name in names:
            value = self.parser.get(name)
            if value != usual.get(name, value):
                raise BrainMRIError(
                    f"--{name} changes nothing here: what the validation of the training fitted stays as it is.\n"
                    "Leave it out; a run takes it when it is evaluated on its own test, without --dataset_dir."
                )

    def require_same_data(self, before: Datalist, how: Mapping[str, Any], digest: str) -> None:
        """
        Args:
            before: the datalist in this folder.
            how: the split that is asked for: method, seed, and fold and folds.
            digest: of the data that are given.

        Raises:
            BrainMRIError: when the folder's datalist is of other data or of another split.
        """
        if before.digest != digest:
            raise self._other_run(
                f"a run on other data ({len(before.entries)} entries of {before.root}, digest {before.digest}; "
                f"now digest {digest})"
            )
        asked = {key: before.split.get(key) for key in how}
        if asked != how:
            raise self._other_run(f"a datalist with the split {_short(asked)}, and now it is {_short(dict(how))}")

    def require_work(self, datalist: Datalist, parts: Sequence[str]) -> None:
        """
        Raises:
            BrainMRIError: when a part has fewer cases than there are processes: one without any would wait for ever.
        """
        few = min(parts, key=lambda part: len(datalist.parts[part]))
        if processes() > max(1, len(datalist.parts[few])):
            raise BrainMRIError(
                f"{processes()} processes, and {len(datalist.parts[few])} for {few}: each process needs one.\n"
                "Give fewer --processes (torchrun: --nproc_per_node), or more data."
            )

    def begin(self, datalist: Datalist) -> None:
        """Seed everything, record the decisions, and write the run as a bundle; or go on with what is recorded.

        Raises:
            BrainMRIError: when the folder cannot be written.
        """
        set_determinism(seed=self.seed)
        torch.use_deterministic_algorithms(False)  # set_determinism asks for what some CUDA kernels do not have
        if self.record.get("threads"):
            torch.set_num_threads(self.record["threads"])
        if not is_main_process():
            return
        if self.is_finished:
            early = self.record.get("stopped_early")
            how = "it stopped early; " if early else "more --epochs continue it, "
            print(f"this run is finished: {self.path} ({how}--fresh starts it over)")
            return
        self.require_work(datalist, ["training", "validation"])
        resuming = self.last.exists() and bool(self.record)
        split = _digest(datalist.parts)
        if resuming and self.record["digests"]["split"] != split:
            raise self._other_run("a run with another split: its datalist.json was changed since")
        require_writable(self.ckpt_dir)
        if (self.path / "metrics_test.json").exists():
            print("removed: the test and the export of the weights so far; evaluate again after the training")
        if self.record:
            self._remove(MADE_BY_WEIGHTS)
        self.record = {
            **(self.record if resuming else {"id": uuid4().hex, "created": _now(), "seconds": 0.0}),
            **self._facts(),
            "finished": None,
            "epochs": self.epochs,
            "digests": {
                "data": datalist.digest,
                "split": split,
                "config": _digest(self.bundle.config()),
            },
            "notes": datalist.split["notes"],
        }
        self.bundle.write(datalist, self.ckpt_dir)
        write_json(self.path / "run.json", self.record)
        print(f"{'resuming' if resuming else 'run'}: {self.path}")
        print(f"arithmetic: {self.record['precision']} on {self.record['device']}, {self.record['threads']} threads")

    def finish(self, seconds: float, best: Mapping[str, Any], stopped_early: bool) -> None:
        """Record that the training came to its end, and which epoch was the best."""
        if not is_main_process():
            return
        self.record |= {"finished": _now(), "stopped_early": stopped_early, "epochs": self.epochs, "best": best}
        self.record["seconds"] = round(self.record["seconds"] + seconds, 1)
        write_json(self.path / "run.json", self.record)

    def save_calibrated(self, network: nn.Module) -> None:
        """Write what an evaluation fitted into the best weights; an export of others is removed."""
        if not is_main_process():
            return
        before, now = load_weights(self.best), network.state_dict()
        export = self.path / "models/model.ts"
        if export.exists() and not all(torch.equal(before[name], now[name].cpu()) for name in now):
            export.unlink()
            print(f"removed, as it was exported before these weights were calibrated: {export}")
        save(now, self.best)

    def save_scores(self, datalist: Datalist, metrics: Mapping[str, Any], main: Mapping[str, Mapping]) -> Path:
        """Write ``metrics_test.json``, and what was tested to ``datalist.json``: the run's own data may have moved.

        The main scores of the own test enter the run's card, and the digest of its weights the file.

        Args:
            datalist: that was tested.
            metrics: all of them.
            main: name → an entry of the metrics, with its ``value``.

        Returns:
            The path of ``metrics_test.json``.
        """
        folder = self.results(datalist)
        own = folder == self.path
        write_json(folder / "metrics_test.json", {**metrics, "weights": file_digest(self.best)} if own else metrics)
        datalist.save(folder / "datalist.json")
        if own:
            self.bundle.add_scores(main)
        else:
            write_json(folder / "run.json", self.record or {"finished": _now(), **self._facts()})
        return folder / "metrics_test.json"

    def _facts(self) -> dict[str, Any]:
        """What runs here, and how."""
        return {
            "bundle": self.bundle.name,
            "version": self.bundle.card()["version"],
            "package": brainmri_monai.__version__,
            "command": " ".join(["brainmri" if Path(sys.argv[0]).name == "brainmri" else sys.argv[0], *sys.argv[1:]]),
            "seed": self.seed,
            "device": _device_name(self.device),
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "packages": {name: metadata.version(name) for name in PACKAGES},
            "options": self.bundle.options() | {"ckpt_dir": str(self.ckpt_dir)},
        }

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        except (ValueError, OSError) as error:
            raise BrainMRIError(
                f"{path} cannot be read: {error}.\nRestore the file, or start over with --fresh."
            ) from error

    def _is_free(self, folder: str, datalist: Datalist) -> bool:
        """Whether a folder holds no test, or one of the same data by the same networks."""
        there = self._read(f"{folder}/datalist.json")
        if there is None:
            return True
        same_networks = there.get("split", {}).get("ensemble") == datalist.split.get("ensemble")
        return same_networks and there.get("digest") == datalist.digest

    def _clear(self) -> None:
        if not (self.path / "run.json").exists():  # what lies here is somebody's own
            return
        if self.ckpt_dir != self.path / "models":
            self.record = self._read("run.json") or {}
            self._require_own_weights()
        self._remove(WEIGHTS, self.ckpt_dir)
        self._remove(LEFT_BY_A_RUN)

    def _remove(self, names: Sequence[str], folder: Path | None = None) -> None:
        for path in ((folder or self.path) / name for name in names):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _other_run(self, what: str) -> BrainMRIError:
        return BrainMRIError(
            f"{self.path} holds {what}.\n"
            "Give another --output_dir, or the same data and options to resume, or --fresh to start over."
        )


def _is_ours(folder: Path, bundle_root: Path) -> bool:
    package = Path(brainmri_monai.__file__).parent.resolve()
    return any(folder == ours or ours in folder.parents for ours in (bundle_root, package, package.parent / "bundles"))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _digest(content: Mapping[str, Any] | Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
