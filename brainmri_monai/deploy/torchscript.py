"""The TorchScript file that MONAI Deploy and others load."""

from __future__ import annotations

from pathlib import Path

from monai.bundle import ckpt_export

from brainmri_monai.engines.launch import unwrapped
from brainmri_monai.engines.run_folder import default_output_dir

__all__ = ["export"]


def export(root: Path, output_dir: str | Path | None = None) -> Path:
    """Script the network of a bundle with its best weights, the configuration and metadata inside.

    MONAI Deploy finds these by the file's name: do not rename ``model.ts``.

    Args:
        root: the bundle or the finished run.
        output_dir: where ``model.ts`` goes; ``<run>/models`` of a finished run when left out.

    Returns:
        The path of ``model.ts``.

    Raises:
        BrainMRIError: when there are no weights, or the network cannot be scripted.
    """
    path = Path(output_dir or default_output_dir(root, "models")) / "model.ts"
    path.parent.mkdir(parents=True, exist_ok=True)
    config = root / "configs/inference.json"
    try:
        ckpt_export(
            net_id="network_def",
            filepath=str(path),
            ckpt_file=str(root / "models/model.pt"),
            meta_file=str(root / "configs/metadata.json"),
            config_file=str(config),
        )
    except Exception as error:
        raise unwrapped(error, [config]) from error
    print(f"exported: {path}")
    return path
