"""The TorchScript file that MONAI Deploy and others load."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from monai.bundle import ConfigParser, ckpt_export
from torch import nn

from brainmri_monai.engines.launch import unwrapped
from brainmri_monai.engines.run_folder import default_output_dir
from brainmri_monai.engines.weights import load_network
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import replacing

__all__ = ["export"]

WINDOW = 4  # times what the sides must be divisible by: enough for the norms of the deepest level


def export(root: Path, output_dir: str | Path | None = None) -> Path:
    """Export the network of a bundle with its best weights, the configuration and metadata inside.

    It is scripted; a 3D network that cannot be is traced, and what that means for its windows is printed. MONAI Deploy
    finds configuration and metadata by the file's name: do not rename ``model.ts``.

    Args:
        root: the bundle or the finished run.
        output_dir: where ``model.ts`` goes; ``<run>/models`` of a finished run when left out.

    Returns:
        The path of ``model.ts``.

    Raises:
        BrainMRIError: when there are no weights or those of another network, or the network cannot be exported.
    """
    logging.getLogger("monai.bundle.scripts").setLevel(logging.WARNING)  # it tells of a temporary file
    path = Path(output_dir or default_output_dir(root, "models")) / "model.ts"
    config = root / "configs/inference.json"
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.read_meta(str(root / "configs/metadata.json"))
    parser["bundle_root"] = str(root)
    try:
        weights = Path(parser.get_parsed_content("ckpt_dir")) / "model.pt"
        network = load_network(parser.get_parsed_content("network_def"), weights)  # says what is wrong with them
        files = {
            "ckpt_file": str(weights),
            "meta_file": str(root / "configs/metadata.json"),
            "config_file": str(config),
        }
        window = _window(parser)
        reason = _cannot_be_scripted(network) if window else None
        with _same_name(path) as unfinished:
            if reason is None:
                ckpt_export(net_id="network_def", filepath=str(unfinished), **files)
            else:
                channels = parser["_meta_#network_data_format#inputs#image#num_channels"]
                shape = [1, channels, *window]
                ckpt_export(net_id="network_def", filepath=str(unfinished), use_trace=True, input_shape=shape, **files)
                print(f"note: {type(network.body).__name__} cannot be scripted ({reason}), so it was traced")
                if not _takes_other_windows(unfinished, network.eval(), shape, parser.get_parsed_content("divisible")):
                    print(
                        f"note: it takes windows of {'×'.join(map(str, window))} voxels alone: infer with this roi_size"
                    )
    except Exception as error:
        told = unwrapped(error, [config])
        if told is error and isinstance(error, RuntimeError):  # of the compiler
            told = BrainMRIError(
                f"the network of {config} cannot be exported: {_first_line(error)}\n"
                "Write it in what TorchScript knows; --debug shows the whole trace."
            )
        raise told from error
    print(f"exported: {path}")
    return path


@contextmanager
def _same_name(path: Path) -> Iterator[Path]:
    """Give a file of this name in a temporary folder, which takes the place of ``path`` when the block ends well.

    The name is written into the file, and must not change (see ``files.replacing``).
    """
    with replacing(path) as temporary, TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        unfinished.replace(temporary)


def _window(parser: ConfigParser) -> list[int] | None:
    """On which a network of volumes is traced: that of the inference, or a small one; None for other networks."""
    if "divisible" not in parser or "roi_size" not in parser:
        return None
    smallest = WINDOW * parser.get_parsed_content("divisible")
    return [side if side > 0 else smallest for side in parser.get_parsed_content("roi_size")]


def _cannot_be_scripted(network: nn.Module) -> str | None:
    """The reason, in a few words; None when it can be."""
    try:
        torch.jit.script(network.eval())
    except Exception as error:  # the compiler raises what it likes
        return _first_line(error)
    return None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(":. ")[:100]


def _takes_other_windows(path: Path, network: nn.Module, shape: list[int], step: int) -> bool:
    """Whether the traced network answers as the eager one does on a window of another size, too."""
    image = torch.rand([*shape[:2], shape[2] + step, *shape[3:]], generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            return torch.allclose(torch.jit.load(path)(image), network(image), atol=1e-3)
    except RuntimeError:  # a size that the trace took for a constant
        return False
