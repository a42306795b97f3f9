"""What an inference has left behind for each case, so that it is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import brainmri_monai
from brainmri_monai.data.brats.cases import Case
from brainmri_monai.files import write_json

__all__ = ["VolumeResults"]


class VolumeResults:
    """A folder with one folder of results a case, and in it ``<case>.json``: what they were made from, and the answer.

    A case is finished when its input files (by size and time), the weights, the settings and the version of this
    package are those of the record, and all its files are there.

    Args:
        folder: of the inference.
        networks: whose weights are used.
        settings: whatever else decides the answer.
    """

    def __init__(self, folder: str | Path, networks: Iterable[nn.Module], settings: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.weights = [digest_of(network) for network in networks]
        self.settings = {"version": brainmri_monai.__version__, **settings}

    def path(self, case: Case, ending: str) -> Path:
        """Of one of the case's files, such as ``_seg.nii.gz``."""
        return self.folder / case.id / f"{case.id}{ending}"

    def finished(self, case: Case, convention: str) -> dict[str, Any] | None:
        """The answer of a finished case, as a row of the table; None when it is to be done.

        Args:
            case: which.
            convention: of the label map that is wanted.
        """
        try:
            record = json.loads(self.path(case, ".json").read_text(encoding="utf-8"))
            same = record["made_from"] == self._made_from(case, convention)
            there = all((self.path(case, ending)).is_file() for ending in record["files"])
            return record["answer"] if same and there else None
        except (OSError, ValueError, KeyError, TypeError):  # none, or half a one of another program
            return None

    def clear(self, case: Case) -> None:
        """Forget the case before its files are written anew, so that the record never speaks of others."""
        self.path(case, ".json").unlink(missing_ok=True)

    def write(self, case: Case, convention: str, files: Iterable[str], answer: Mapping[str, Any]) -> None:
        """Write the record of a case, after all its files.

        Args:
            case: which.
            convention: of the label map.
            files: the endings of the files.
            answer: a row of the table.
        """
        record = {"answer": dict(answer), "files": list(files), "made_from": self._made_from(case, convention)}
        write_json(self.path(case, ".json"), record)

    def _made_from(self, case: Case, convention: str) -> dict[str, Any]:
        states = {str(file): file.stat() for file in case.files}
        files = {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}
        files |= {"modalities": list(case.modalities)}  # of a 4D file another file tells their order
        made = {"files": files, "weights": self.weights, "convention": convention, "settings": self.settings}
        return json.loads(json.dumps(made))  # as it is read again: lists for tuples


def digest_of(network: nn.Module) -> str:
    """Of the weights and buffers of a network, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name}\0{tuple(tensor.shape)}\0{tensor.dtype}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]
