"""The TorchScript file that MONAI Deploy and others load."""

from __future__ import annotations

from pathlib import Path

from monai.bundle import ConfigParser, ckpt_export

from brainmri_monai.engines.launch import unwrapped
from brainmri_monai.engines.run_folder import default_output_dir
from brainmri_monai.engines.weights import load_network

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
        BrainMRIError: when there are no weights or those of another network, or the network cannot be scripted.
    """
    path = Path(output_dir or default_output_dir(root, "models")) / "model.ts"
    config = root / "configs/inference.json"
    parser = ConfigParser()
    parser.read_config(str(config))
    parser["bundle_root"] = str(root)
    try:
        weights = Path(parser.get_parsed_content("ckpt_dir")) / "model.pt"
        load_network(parser.get_parsed_content("network_def"), weights)  # says what is wrong with them
        path.parent.mkdir(parents=True, exist_ok=True)
        ckpt_export(
            net_id="network_def",
            filepath=str(path),
            ckpt_file=str(weights),
            meta_file=str(root / "configs/metadata.json"),
            config_file=str(config),
        )
    except Exception as error:
        raise unwrapped(error, [config]) from error
    print(f"exported: {path}")
    return path
