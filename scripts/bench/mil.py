"""Speed and memory of brain_tumor_mil_classification, as ratios: python scripts/bench/mil.py PATIENTS [--quick]

Each figure is a ratio of medians of both sides, taken in turns in one run. The exit code is 1 when a target is missed.

PATIENTS is a labelled folder, such as $BRAINMRI_DATA/lgg_mri/patients.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
from measure import alternate, elsewhere, report, timed, trainer_steps, workflow
from PIL import Image
from torch import nn

from brainmri_monai.data.bundles import find_bundle

BUNDLE = find_bundle("brain_tumor_mil_classification")
SIZE, BAG, BATCH = 224, 8, 2


class PlainMIL(nn.Module):
    """The seed's network as its authors wrote it: default memory layout, activation before pooling, float32."""

    def __init__(self, types: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
            *(nn.Flatten(), nn.Linear(128, 256)),
        )
        self.score = nn.Sequential(nn.Linear(256, 128), nn.Tanh(), nn.Linear(128, 1))
        self.type_head, self.grade_head = nn.Linear(256, types), nn.Linear(256, types * 4)

    def forward(self, bags: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.encoder(bags.flatten(0, 1)).unflatten(0, bags.shape[:2])  # B N F
        bag = (self.score(features).softmax(dim=1) * features).sum(dim=1)
        return self.type_head(bag), self.grade_head(bag).unflatten(1, (-1, 4))


class PlainLoop:
    """A training loop that decodes and resizes each slice of each bag in each epoch."""

    def __init__(self, samples: list[dict], types: int) -> None:
        self.samples = samples
        self.network = PlainMIL(types)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-3)

    def bag(self, sample: dict) -> torch.Tensor:
        files = sample["image"]
        chosen = sorted(random.sample(files, min(BAG, len(files))))
        slices = [Image.open(file).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR) for file in chosen]
        return torch.stack([torch.from_numpy(np.asarray(s)).permute(2, 0, 1).float() / 255 for s in slices])

    def steps(self, count: int) -> None:
        for n in range(count):
            self.step([self.samples[(BATCH * n + k) % len(self.samples)] for k in range(BATCH)])

    def step(self, batch: list[dict]) -> None:
        bags = torch.stack([self.bag(sample) for sample in batch])
        labels = torch.tensor([sample["label"] for sample in batch])
        types, grades = self.network(bags)
        given = grades[torch.arange(len(batch)), labels[:, 0]]
        loss = nn.functional.cross_entropy(types, labels[:, 0]) + nn.functional.cross_entropy(given, labels[:, 1])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patients", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps")
    arguments = parser.parse_args()
    rounds, steps = (1, 3) if arguments.quick else (5, 12)
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary)
        made = workflow(
            BUNDLE, "training", arguments.patients, output / "ours", ["seed_cnn"], batch_size=BATCH
        )  # the same network
        datalist = made.parser.get_parsed_content("datalist")
        samples = datalist.samples("training")
        loader = made.parser.get_parsed_content("train#dataloader")
        ready = [batch for _, batch in zip(range(steps), loader, strict=False)]
        plain = elsewhere(PlainLoop, [s for s in samples if s["label"][1] >= 0], len(datalist.types))
        ours, in_memory, reference = alternate(
            rounds, trainer_steps(made, loader, steps), trainer_steps(made, ready, steps), lambda: plain(steps)
        )
        results.append(report("training against a plain loop", ours, reference, 3.5, "s", most=True))
        results.append(report("training against tensors in memory", ours, in_memory, 1.15, "s", most=False))

        frozen = workflow(
            BUNDLE,
            "training",
            arguments.patients,
            output / "frozen",
            ["seed_cnn", "frozen"],
            batch_size=BATCH,
            cache_dir=str(output / "ours/cache"),
        )
        frozen_loader = frozen.parser.get_parsed_content("train#dataloader")
        few = min(steps, len(frozen_loader))
        ours, reference = alternate(rounds, trainer_steps(frozen, frozen_loader, few), trainer_steps(made, loader, few))
        results.append(report("frozen encoder against end to end", ours, reference, 20, "s", most=True))

        command = [sys.executable, "-m", "brainmri_monai.cli", "run", BUNDLE.name, "training", "--epochs", "1"]
        command += ["--dataset_dir", str(arguments.patients), "--output_dir", str(output / "memory")]
        subprocess.run(command, check=True, capture_output=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        results.append(report("peak memory of decoding and an epoch", peak, 1.0, 3.0, "GB", most=False))

        brainmri = Path(sys.executable).with_name("brainmri")
        started = [
            timed(lambda: subprocess.run([brainmri, "--help"], check=True, capture_output=True)) for _ in range(5)
        ]
        results.append(report("brainmri --help", median(started), 1.0, 0.5, "s", most=False))
        print(json.dumps({"precision": made.parser.get_parsed_content("run_folder").precision}))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
