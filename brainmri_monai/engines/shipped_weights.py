"""The folder of a test of the weights that a bundle came with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from brainmri_monai.data.datalist import Datalist
from brainmri_monai.engines.run_folder import PREPARED, RunFolder
from brainmri_monai.errors import BrainMRIError

__all__ = ["ShippedWeights"]


class ShippedWeights(RunFolder):
    """``<output_dir>`` of a test of the weights in a bundle's ``models/``, which stay as they are.

    Args:
        output_dir: the folder; not that of a run.
        bundle_root: the bundle, whose ``models/datalist.json`` names what the weights have seen.
        ckpt_dir: of a run; only ``<output_dir>/models``, as it is when none is given.
        fresh: of a run, which is not touched.
        options: as of :class:`RunFolder`.

    Raises:
        BrainMRIError: as :class:`RunFolder`; also when the bundle or the folder is a run, or no data are given.
    """

    fits: ClassVar[bool] = False
    own_test: ClassVar[str] = "own_test"

    def __init__(
        self,
        output_dir: str | Path,
        bundle_root: str | Path,
        ckpt_dir: str | Path | None = None,
        fresh: bool = False,
        **options: Any,
    ) -> None:
        own = Path(output_dir) / "models"
        super().__init__(output_dir, own, bundle_root, **options)
        self.ckpt_dir = self.bundle.source / "models"
        if (self.bundle.source / "run.json").exists():
            raise BrainMRIError(f"{self.bundle.source} is a run, not a bundle as shipped.\nLeave --shipped out.")
        if self.record:
            raise BrainMRIError(
                f"{self.path} holds a run, and the weights that the bundle came with are asked for.\n"
                "Give another --output_dir, or leave --shipped out."
            )
        others = {"ensemble": self.parser.get("ensemble"), "ckpt_dir": Path(ckpt_dir or own).resolve() != own.resolve()}
        other = next((name for name, given in others.items() if given), None)
        if other is not None:
            raise BrainMRIError(f"--{other} and --shipped: which weights are to be tested?\nGive one of them.")
        if not self.parser.get("dataset_dir"):
            raise BrainMRIError(
                "the weights that the bundle came with have no test of their own here.\n"
                "Give labelled data with --dataset_dir."
            )

    @property
    def trained_on(self) -> Path:
        return self.ckpt_dir / "datalist.json"

    @property
    def doubts(self) -> list[str]:
        return []

    def network(self, configured: nn.Module) -> nn.Module:
        """The network of the bundle's inference, whatever the training has."""
        return self.bundle.network()

    def require_same_input(self) -> None:
        """
        Raises:
            BrainMRIError: when images would be prepared otherwise than the network was trained on them.
        """
        self._require_options(PREPARED, self.bundle.inference(), "leave it out")

    def save_scores(self, datalist: Datalist, metrics: Mapping[str, Any], main: Mapping[str, Mapping]) -> Path:
        what = f"{self.bundle.name} {self.bundle.card()['version']}"
        metrics["notes"].append(f"tested were the weights that {what} came with")
        return super().save_scores(datalist, metrics, main)

    def _facts(self) -> dict[str, Any]:
        facts = super()._facts()
        read = {"dataset_dir", "ckpt_dir", "precision", *self.bundle.inference(), *self.bundle.evaluation()}
        # the others are of a training, and not of the one that made these weights
        return facts | {"options": {name: value for name, value in facts["options"].items() if name in read}}
