"""Speed of brain_tumor_slice_classification, as ratios: python scripts/bench/slices_classification.py SLICES [--quick]

Each figure is a ratio of medians of both sides, taken in turns in one run. The exit code is 1 when a target is missed.

SLICES is a folder of classes, such as $BRAINMRI_DATA/tumor_slices.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from measure import alternate, elsewhere, report, timed, trainer_steps, workflow
from monai.transforms import Compose, RandAdjustContrast, RandAffine, RandFlip, RandShiftIntensity
from PIL import Image
from torch import nn

from brainmri_monai.data.bundles import find_bundle
from brainmri_monai.networks import CustomCNN
from brainmri_monai.transforms import AugmentBatch

BUNDLE = find_bundle("brain_tumor_slice_classification")
SIZE, BATCH, EPOCHS = 128, 64, 50


class PlainLoop:
    """The same network, trained in float32 by a loop that decodes, resizes and augments each file in each epoch."""

    def __init__(self, samples: list[dict]) -> None:
        self.samples = samples
        self.network = CustomCNN()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)
        self.random = np.random.default_rng(0)

    def slice(self, sample: dict) -> torch.Tensor:
        picture = Image.open(sample["image"][0]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        if self.random.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture = picture.rotate(self.random.uniform(-10, 10), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        return (pixels * self.random.uniform(0.9, 1.1)).clamp(0, 1)

    def steps(self, count: int) -> None:
        for n in range(count):
            self.step([self.samples[(BATCH * n + k) % len(self.samples)] for k in range(BATCH)])

    def step(self, batch: list[dict]) -> None:
        slices = torch.stack([self.slice(sample) for sample in batch])
        loss = nn.functional.cross_entropy(self.network(slices), torch.tensor([sample["label"] for sample in batch]))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slices", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps")
    arguments = parser.parse_args()
    rounds, steps = (1, 3) if arguments.quick else (5, 8)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        start = time.perf_counter()
        made = workflow(BUNDLE, "training", arguments.slices, run)
        seconds = time.perf_counter() - start
        datalist = made.parser.get_parsed_content("datalist")
        per_7000 = seconds * 7000 / len(datalist.entries)
        results.append(report("reading 7,000 slices, with twins and shortcuts", per_7000, 1.0, 60, "s", most=False))

        loader = made.parser.get_parsed_content("train#dataloader")
        ready = [batch for _, batch in zip(range(steps), loader, strict=False)]
        plain = elsewhere(PlainLoop, datalist.samples("training"))
        ours, in_memory, reference = alternate(
            rounds, trainer_steps(made, loader, steps), trainer_steps(made, ready, steps), lambda: plain(steps)
        )
        results.append(report("training against a plain loop", ours, reference, 2.5, "s", most=True))
        results.append(report("training against tensors in memory", ours, in_memory, 1.15, "s", most=False))
        minutes = ours / steps * len(loader) * EPOCHS / 60
        results.append(report(f"{EPOCHS} epochs of the custom CNN", minutes, 1.0, 10, "min", most=False))

        batch = {"image": torch.rand(BATCH, 1, SIZE, SIZE)}
        one_by_one = Compose(
            [
                RandFlip(prob=0.5, spatial_axis=1),
                RandAffine(1.0, np.pi / 18, None, SIZE * 0.05, 0.1, padding_mode="zeros"),
                RandShiftIntensity(0.1, prob=1.0),
                RandAdjustContrast(prob=1.0, gamma=(0.8, 1.2)),
            ]
        )
        augment = AugmentBatch()
        ours, reference = alternate(
            rounds, lambda: augment(batch), lambda: torch.stack([one_by_one(image) for image in batch["image"]])
        )
        results.append(report("augmenting a batch against MONAI's transforms", ours, reference, 4, "s", most=True))

        (run / "models").mkdir(exist_ok=True)
        torch.save(made.parser.get_parsed_content("network").state_dict(), run / "models/model.pt")
        image = datalist.samples("test")[0]["image"][0]
        command = [sys.executable, "-m", "brainmri_monai.cli", "run", str(run), "inference", "--image", image]
        sides = [command, [sys.executable, "-c", "import monai.bundle"]]
        seconds = [
            [timed(lambda words=words: subprocess.run(words, check=True, capture_output=True)) for words in sides]
            for _ in range(rounds + 1)
        ][1:]
        ours, reference = (median(column) for column in zip(*seconds, strict=True))
        results.append(report("one slice against import monai.bundle", ours, reference, 1.5, "s", most=False))
        print(json.dumps({"precision": made.parser.get_parsed_content("run_folder").precision}))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
