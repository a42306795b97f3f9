"""Speed and memory of brats_mri_volume_segmentation, as ratios: python scripts/bench/brats.py CASES [--quick]

Each figure is a ratio of medians of both sides, taken in turns in one run. The exit code is 1 when a target is missed.

CASES is a BraTS data set with label maps, such as $BRAINMRI_DATA/brats_tcga or what `brainmri phantom volumes` makes.
Both sides have the weights of the bundle's `models/`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
from measure import alternate, elsewhere, report, report_score, timed, trainer_steps, workflow
from monai.data import DataLoader, Dataset
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceLoss
from monai.networks.nets import SegResNet
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    CenterSpatialCrop,
    Compose,
    ConvertToMultiChannelBasedOnBratsClassesd,
    DivisiblePad,
    EnsureChannelFirstd,
    Invertd,
    LoadImaged,
    NormalizeIntensityd,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    SaveImaged,
    SpatialCrop,
)

from brainmri_monai.data.brats.cases import Case, find_volumes
from brainmri_monai.data.brats.conventions import MODALITIES, Convention
from brainmri_monai.data.brats.labels import to_portable
from brainmri_monai.data.brats.volumes import read_label
from brainmri_monai.data.bundles import find_bundle
from brainmri_monai.engines import VolumeInferer, load_network
from brainmri_monai.metrics import lesionwise_scores
from brainmri_monai.metrics.regions import dice, foreground_box
from brainmri_monai.networks import RegionNetwork
from brainmri_monai.transforms.volumes import REGIONS

BUNDLE = find_bundle("brats_mri_volume_segmentation")
WINDOW = (240, 240, 160)
PATCH = (96, 96, 96)
NAMES = ["TC", "WT", "ET"]


def segresnet() -> SegResNet:
    """The network of the model zoo's bundle."""
    return SegResNet(in_channels=4, out_channels=3, init_filters=16, blocks_down=[1, 2, 2, 4], blocks_up=[1, 1, 1])


def segment_as_the_zoo(case: Case, weights: Path, folder: Path) -> None:
    """The steps of the model zoo's inference.json: one window over the whole volume, float32."""
    network = segresnet().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    load = Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            NormalizeIntensityd("image", nonzero=True, channel_wise=True),
        ]
    )
    save = Compose(
        [
            Activationsd("pred", sigmoid=True),
            Invertd("pred", load, orig_keys="image", nearest_interp=False),
            AsDiscreted("pred", threshold=0.5),
            SaveImaged("pred", output_dir=folder, print_log=False),
        ]
    )
    sample = load({"image": [str(case.images[name]) for name in MODALITIES]})
    with torch.no_grad():
        sample["pred"] = SlidingWindowInferer(WINDOW, overlap=0.5)(sample["image"][None], network)[0]
    save(sample)


def segment_as_we_do(case: Case, weights: Path, folder: Path) -> None:
    """The workflow that `brainmri run … inference` starts."""
    made = workflow(
        BUNDLE,
        "inference",
        next(iter(case.images.values())).parent,
        folder,
        ckpt_dir=str(weights.parent),
        overlay=False,
    )
    made.run()


def one_case(side: str, case: Case, weights: Path) -> dict[str, float]:
    """Seconds and peak memory in GB of a process that imports, then segments one case."""
    command = [sys.executable, __file__, "--side", side, "--weights", str(weights), str(case.files[0].parent)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def segment_here(side: str, root: Path, weights: Path) -> None:
    """What such a process does."""
    import resource

    case = find_volumes(root, labelled=False).cases[0]
    segment = {"zoo": segment_as_the_zoo, "ours": segment_as_we_do}[side]
    with tempfile.TemporaryDirectory() as folder:
        seconds = timed(lambda: segment(case, weights, Path(folder)))
    print(json.dumps({"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


class ZooTraining:
    """The steps of the model zoo's train.json: each volume read and normalised in each epoch, float32."""

    def __init__(self, cases: list[Case]) -> None:
        transform = Compose(
            [
                LoadImaged(["image", "label"]),
                EnsureChannelFirstd("image"),
                ConvertToMultiChannelBasedOnBratsClassesd("label"),
                NormalizeIntensityd("image", nonzero=True, channel_wise=True),
                RandSpatialCropd(["image", "label"], roi_size=PATCH, random_size=False),
                *(RandFlipd(["image", "label"], prob=0.5, spatial_axis=axis) for axis in range(3)),
                RandScaleIntensityd("image", factors=0.1, prob=1.0),
                RandShiftIntensityd("image", offsets=0.1, prob=1.0),
            ]
        )
        data = [{"image": [str(c.images[name]) for name in MODALITIES], "label": str(c.label)} for c in cases]
        self.loader = DataLoader(Dataset(data, transform), batch_size=1, shuffle=True)
        self.network = segresnet()
        self.loss = DiceLoss(sigmoid=True, squared_pred=True, smooth_nr=0, smooth_dr=1e-5)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4, weight_decay=1e-5)

    def steps(self, count: int) -> None:
        done = 0
        while done < count:
            for batch in self.loader:
                self.optimizer.zero_grad()
                self.loss(self.network(batch["image"]), batch["label"].float()).backward()
                self.optimizer.step()
                done += 1
                if done == count:
                    return


def read_as_the_zoo(case: Case) -> torch.Tensor:
    """4 240 240 155, normalised."""
    load = Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            NormalizeIntensityd("image", nonzero=True, channel_wise=True),
        ]
    )
    return load({"image": [str(case.images[name]) for name in MODALITIES]})["image"].as_tensor()


@torch.inference_mode()
def dice_by_window(case: Case, convention: Convention, network: RegionNetwork) -> tuple[float, float]:
    """Mean Dice of the regions against the truth: in the brain's box, and in the zoo's window."""
    image, truth = read_as_the_zoo(case), regions_of(case, convention)
    box = (slice(None), *foreground_box((image != 0).any(dim=0).numpy()))
    crop = image[box]
    padded = DivisiblePad(16)(crop)
    answer = VolumeInferer(precision="float32")(padded[None], network)[0]
    in_box = np.zeros(truth.shape, bool)
    in_box[box] = (CenterSpatialCrop(crop.shape[1:])(answer) > 0).numpy()
    in_window = (SlidingWindowInferer(WINDOW, overlap=0.5)(image[None], network)[0] > 0).numpy()
    return float(dice(in_box, truth).mean()), float(dice(in_window, truth).mean())


@torch.inference_mode()
def dice_by_precision(case: Case, convention: Convention, network: RegionNetwork) -> float:
    """Least Dice of a region between the answers in bfloat16 and in float32, in one window over the tumour.

    Where bfloat16 is emulated this takes minutes.
    """
    image, truth = read_as_the_zoo(case), regions_of(case, convention)
    middle = [(side.start + side.stop) // 2 for side in foreground_box(truth.any(axis=0))]
    part = SpatialCrop(roi_center=middle, roi_size=PATCH)(image)[None].contiguous()
    exact, short = ((VolumeInferer(precision=name)(part, network)[0] > 0).numpy() for name in ("float32", "bfloat16"))
    return float(dice(short, exact).min())


def regions_of(case: Case, convention: Convention) -> np.ndarray:
    """Truth: R H W D, boolean."""
    label = to_portable(read_label(case, convention), convention)
    return np.stack([np.isin(label, REGIONS[name]) for name in NAMES])


def lesionwise(case: Case, convention: Convention) -> float:
    """Seconds for all regions of a case: its label map against itself, moved by three voxels."""
    truth = regions_of(case, convention)
    moved = np.roll(truth, 3, axis=1)
    return timed(lambda: lesionwise_scores(moved, truth, (1, 1, 1), regions=NAMES, version="brats2023", task="GLI"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps")
    parser.add_argument("--side", choices=["zoo", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        segment_here(arguments.side, arguments.cases, arguments.weights)
        return 0
    rounds, steps = (1, 2) if arguments.quick else (3, 6)
    found = find_volumes(arguments.cases)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary)
        network = load_network(RegionNetwork(segresnet()), BUNDLE / "models/model.pt").eval()
        weights = {"ours": BUNDLE / "models/model.pt", "zoo": output / "model.pt"}
        torch.save(network.body.state_dict(), weights["zoo"])
        sides, case = ("ours", "zoo"), found.cases[0]
        turns = [{side: one_case(side, case, weights[side]) for side in sides} for _ in range(rounds)]
        ours, zoo = (
            {key: median(turn[side][key] for turn in turns) for key in ("seconds", "memory")} for side in sides
        )
        results.append(report("a case from disk to disk", ours["seconds"], zoo["seconds"], 12, "s", most=True))
        results.append(report("peak memory of a case", ours["memory"], zoo["memory"], 0.6, "GB", most=False))

        some = found.cases[: 2 if arguments.quick else 5]
        in_box, in_window = np.mean([dice_by_window(each, found.convention, network) for each in some], axis=0)
        what = f"Dice of {len(some)} cases, brain's box (ours) against the whole window"
        results.append(report_score(what, in_box, in_window))
        both = dice_by_precision(case, found.convention, network)
        results.append(report_score("Dice of bfloat16 to float32 in one window", both, 0.995))

        made = workflow(BUNDLE, "training", arguments.cases, output / "run", ["segresnet"], patch_size=list(PATCH))
        datalist = made.parser.get_parsed_content("datalist")
        training = [datalist.case(entry) for entry in datalist.parts["training"]]
        loader = made.parser.get_parsed_content("train#dataloader")
        ready = [batch for _, batch in zip(range(steps), loader, strict=False)]
        steps = len(ready)
        reference = elsewhere(ZooTraining, training)
        ours, in_memory, zoo = alternate(
            rounds,
            trainer_steps(made, loader, steps),
            trainer_steps(made, ready, steps),
            lambda: reference(steps),
        )
        results.append(report("training against tensors in memory", ours, in_memory, 1.1, "s", most=False))
        results.append(report("training against the zoo's", ours, zoo, 4, "s", most=True))
        seconds = median(lesionwise(case, found.convention) for _ in range(3))
        results.append(report("lesion-wise scores of a case", seconds, 1.0, 2.0, "s", most=False))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
