"""Do the maps of a slice classifier lie on the tumour? On generated slices it is known where that is.

    python scripts/slice_explanations.py FIGURE.png [--patients 36] [--epochs 8]

A ``CustomCNN`` learns to tell generated FLAIR slices with a tumour from those without, in a few minutes. On slices of
other patients with a tumour that it finds, Grad-CAM of each convolution, Grad-CAM++ and occlusion are compared with the
tumour's mask, and Grad-CAM of the last convolution with itself as the weights are drawn anew.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from tqdm import tqdm

from brainmri_monai.data.phantom.patients import MODALITIES, draw_slices
from brainmri_monai.data.phantom.tumour import LOOKS
from brainmri_monai.explain import cascading_randomisation, convolutions, grad_cam, layer_maps, mass_share, occlusion
from brainmri_monai.networks import CustomCNN, SliceClassifier
from brainmri_monai.report.figures.explanation_checks import plot_explanation_checks

SIZE = 128
SHOWN = 40  # slices at most
LEAST = 0.004  # share of the area: smaller tumours are left out


def draw(patients: range) -> tuple[Tensor, np.ndarray]:
    """N 3 H W, slices of the middle of the head, and N H W, where the tumour is.

    The grey values keep the scale of their patient: scaled slice by slice, a bright tumour darkens all the rest of the
    slice, and that is what the network learns.
    """
    images, masks = [], []
    for seed in tqdm(patients, "drawing patients"):
        kind = list(LOOKS)[seed % len(LOOKS)]
        slices, tumour = draw_slices(np.random.default_rng(seed), kind, max(LOOKS[kind]), spacing=2)
        middle = slice(len(slices) // 4, -len(slices) // 4)
        flair = torch.from_numpy(slices[middle, ..., MODALITIES.index("flair")])[:, None] / 255
        images.append(interpolate(flair, (SIZE, SIZE), mode="bilinear", antialias=True).expand(-1, 3, -1, -1))
        masks.append(interpolate(torch.from_numpy(tumour[middle])[:, None].float(), (SIZE, SIZE))[:, 0] > 0.5)
    images, masks = torch.cat(images), torch.cat(masks)
    share = masks.float().mean(dim=(1, 2))
    clear = (share == 0) | (share >= LEAST)
    return images[clear], masks[clear].numpy()


def train(images: Tensor, labels: Tensor, epochs: int) -> SliceClassifier:
    """With flips and shifts."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    network = SliceClassifier(CustomCNN(num_classes=2), num_classes=2).train()
    steps = len(images) // 32
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-4, total_steps=epochs * steps)
    for epoch in range(epochs):
        total = 0.0
        for chosen in np.array_split(random.permutation(len(images))[: steps * 32], steps):
            batch = images[chosen]
            batch = batch.flip(3) if random.random() < 0.5 else batch
            batch = batch.roll(random.integers(-8, 9, size=2).tolist(), dims=(2, 3))
            loss = cross_entropy(network(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() / steps
        print(f"epoch {epoch + 1}: loss {total:.3f}", flush=True)
    return network.eval()


def explain(network: SliceClassifier, images: Tensor, masks: np.ndarray, figure: str) -> None:
    """Compare maps of slices with a tumour, which the network finds, with the masks."""
    layers = convolutions(network.body)
    last = layers[-1]
    gains: dict[str, list[float]] = {f"conv {n}": [] for n in range(1, len(layers) + 1)}
    gains |= {f"++ of {len(layers)}": [], "occlusion": []}
    correlations = []
    for seed, (image, mask) in enumerate(zip(tqdm(images, "explaining"), masks, strict=True)):
        maps = [*grad_cam(network, image, target=1).values()]
        maps.append(grad_cam(network, image, [last], target=1, plus_plus=True)[last])
        maps.append(occlusion(network, image, target=1))
        for name, picture in zip(gains, maps, strict=True):
            gains[name].append(mass_share(picture, mask) / mask.mean())
        changing = cascading_randomisation(
            network, image, lambda network, image: layer_maps(network, image, [last], target=1)[last], seed
        )
        correlations.append({name.removeprefix("body."): value for name, value in changing.items()})
    for name, some in gains.items():
        print(
            f"{name}: {np.nanmedian(some):.1f} times chance, {np.mean(np.array(some) > 1):.0%} of the slices above it"
        )
    plot_explanation_checks(gains, correlations, figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure")
    parser.add_argument("--patients", type=int, default=36)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()

    images, masks = draw(range(options.patients))
    network = train(images, torch.from_numpy(masks.any(axis=(1, 2))).long(), options.epochs)
    images, masks = draw(range(1000, 1000 + max(options.patients // 4, 1)))
    truth = masks.any(axis=(1, 2))
    with torch.no_grad():
        found = network(images).argmax(dim=1).numpy().astype(bool)
    print(f"right on {(found == truth).mean():.1%} of {len(truth)} slices of other patients")
    shown = np.flatnonzero(found & truth)[:SHOWN]
    explain(network, images[shown], masks[shown], options.figure)


if __name__ == "__main__":
    main()
