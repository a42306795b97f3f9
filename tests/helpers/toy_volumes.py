"""Small cases with a tumour of nested balls, and a network that knows them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from scipy.spatial.transform import Rotation

from brainmri_monai.networks import RegionNetwork

BUNDLE = "brats_mri_volume_segmentation"
WORDS = {"old": ("t1ce", "t1", "t2", "flair"), "new": ("t1c", "t1n", "t2w", "t2f")}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (34, 40, 30)
TOY = {"_target_": "torch.nn.Conv3d", "in_channels": 4, "out_channels": 3, "kernel_size": 1}
"""A network that looks at one voxel: TC is where T2 is bright, WT where FLAIR is, ET where T1c is."""


def distances(shape=SHAPE, affine=LPS) -> np.ndarray:
    """H W D, millimetres from a point right of, before and above the middle."""
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    middle = (np.array(shape) - 1) / 2
    return np.linalg.norm((voxels - middle) @ affine[:3, :3].T - [3, 4, 2], axis=-1)


def draw_case(shape=SHAPE, affine=LPS, seed=0) -> np.ndarray:
    """4 H W D, int16: a brain with three nested balls, each bright in one modality."""
    random = np.random.default_rng(seed)
    voxels = np.moveaxis(np.indices(shape), 0, -1)
    half = (np.array(shape) - 1) / 2
    brain = (((voxels - half) / (half - 2)) ** 2).sum(axis=-1) < 1
    image = random.normal(100, 5, (4, *shape))
    inside = distances(shape, affine)
    for channel, radius in ((0, 3), (2, 5), (3, 7)):
        image[channel][inside < radius] += 300
    image[1][inside < 4] += 30
    return (image * brain).round().astype(np.int16)


def truth(shape=SHAPE, affine=LPS) -> np.ndarray:
    """The portable label map of such a case."""
    inside = distances(shape, affine)
    return np.select([inside < 3, inside < 5, inside < 7], [3, 1, 2], 0).astype(np.uint8)


def write_case(folder: Path, image=None, affine=LPS, words="old", label=None) -> Path:
    image = draw_case() if image is None else image
    folder.mkdir(parents=True)
    join = "-" if words == "new" else "_"
    for word, volume in zip(WORDS[words], image, strict=True):
        nib.save(nib.Nifti1Image(volume, affine), folder / f"{folder.name}{join}{word}.nii.gz")
    if label is not None:
        nib.save(nib.Nifti1Image(label, affine), folder / f"{folder.name}{join}seg.nii.gz")
    return folder


def write_toy(path: Path, threshold: float = 1.2, minimum_ml=0.0, modalities=(2, 3, 0)) -> Path:
    """The weights of such a network; ``modalities`` has the channel that each region is seen in."""
    network = RegionNetwork(torch.nn.Conv3d(4, len(modalities), 1), len(modalities))
    with torch.no_grad():
        network.body.weight.zero_()
        for region, modality in enumerate(modalities):
            network.body.weight[region, modality] = 40.0
        network.body.bias.fill_(-40 * threshold)
        network.minimum_ml.copy_(torch.tensor(minimum_ml))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return path


def labels_of(out: Path, case: str) -> np.ndarray:
    return np.asarray(nib.load(out / case / f"{case}_seg.nii.gz").dataobj)


def table_of(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "predictions.csv", dtype={"id": str}).set_index("id")


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def turned(millimetres, degrees=(20, -10, 30)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ LPS[:3, :3] @ np.diag(millimetres)
    affine[:3, 3] = [12, -30, 55.5]
    return affine
