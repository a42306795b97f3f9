"""Maps that explain the answers on slices, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.networks.blocks.selfattention import SABlock
from numpy.typing import NDArray
from torch import nn

from brainmri_monai.data.options import check_values
from brainmri_monai.data.slices.datalist import SliceList
from brainmri_monai.data.slices.folders import find_slices
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.engines.slices.inference import SaveSlices, in_words
from brainmri_monai.engines.slices.prediction import members
from brainmri_monai.engines.slices.reading import read_set
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.explain import Place, attention_rollout, convolutions, enlarge, layer_maps, layer_places, occlusion
from brainmri_monai.networks.slice_classifier import SliceClassifier
from brainmri_monai.report.figures import Mistake, plot_filters, plot_grad_cam, plot_mistakes
from brainmri_monai.report.reading import RunFiles
from brainmri_monai.report.slice_page import mistake_path, surest_mistakes, wrong_answers

__all__ = ["draw_filters", "draw_mistakes", "explain_answers"]


def draw_filters(networks: Sequence[SliceClassifier], path: Path) -> None:
    """The filters of the first convolution, of an ensemble those of its first network."""
    first = next((module for module in networks[0].body.modules() if isinstance(module, nn.Conv2d)), None)
    if first is not None and first.kernel_size != (1, 1):
        title = "Filters of the first convolution" + (" of the first network" if len(networks) > 1 else "")
        plot_filters(first.weight.detach().cpu().numpy(), path, title)


def draw_mistakes(
    files: RunFiles, networks: Sequence[SliceClassifier], store: ArrayStore, size: int, *, limit: int = 12
) -> None:
    """A gallery of the surest mistakes, and for each a figure with the maps of its convolutions, where it has any.

    Args:
        files: of an evaluated run.
        networks: with their weights; of several, the maps are averaged.
        store: holds the prepared slices.
        size: rows and columns of a prepared slice.
        limit: how many mistakes; of twins one.
    """
    shown = surest_mistakes(files, limit)
    for path in mistake_path(files.folder, 1).parent.glob("*.png"):
        path.unlink()  # of an earlier evaluation
    if not convolutions(networks[0].body):
        return
    datalist = SliceList.load(files.folder / "datalist.json")
    read = read_set(find_slices(datalist.root), store, size)
    gallery = []
    bar = progress_bar(len(shown), "explaining mistakes", "slices")
    for number, row in enumerate(shown, start=1):
        picture = np.asarray(read.pictures[read.rows([row["id"]])[0]]) / np.float32(255)
        maps, places, rollout = _maps(networks, picture, datalist.types.index(row["pred"]))
        title = f"{row['id']}: is {row['label']}, said {row['pred']} ({float(row['confidence']):.3f})"
        plot_grad_cam(picture, maps, mistake_path(files.folder, number), title, places=places, rollout=rollout)
        told = {"said": row["pred"], "truth": row["label"], "decision": row["decision"]}
        last = enlarge(list(maps.values())[-1], picture.shape, places.get(list(maps)[-1]))
        gallery.append(Mistake(row["id"], picture, last, confidence=float(row["confidence"]), **told))
        bar.update()
    bar.close()
    count = f"Mistakes: {len(wrong_answers(files))} of {len(files.predictions)} slices"
    plot_mistakes(gallery, files.folder / "figures/gallery.png", count)


def explain_answers(predictions: SaveSlices, network: SliceClassifier | Sequence[SliceClassifier], how: str) -> None:
    """Draw ``explained/<slice>.png`` for each answer of an inference.

    Args:
        predictions: what was answered, and on which slices.
        network: that answered, or the networks of an ensemble, whose maps are averaged.
        how: ``gradcam`` or ``gradcam++``, of each convolution; ``occlusion``; or ``none``.

    Raises:
        BrainMRIError: when this is none of those, or the network has no convolution for Grad-CAM.
    """
    check_values({"explain": how})
    if how == "none":
        return
    networks = members(network)
    if how != "occlusion" and not convolutions(networks[0].body):
        raise BrainMRIError(f"--explain {how}: this network has no convolution.\nGive --explain occlusion.")
    folder = predictions.folder / "explained"
    bar = progress_bar(len(predictions.answers), "explaining", "slices")
    for answer in predictions.answers:
        sample = predictions.cases.transform({"id": answer.id, "image": str(predictions.cases.files[answer.id])})
        picture, best = sample["image"][0].numpy(), int(answer.probabilities.argmax())
        title = f"{answer.id}: {in_words(predictions.classes[best], answer.probabilities[best], answer.decision)}"
        if answer.decision == "not_brain_mri":
            title += f"; the maps are of {predictions.classes[best]}"
        maps, places, rollout = _maps(networks, picture, best, how)
        plot_grad_cam(picture, maps, folder / f"{answer.id}.png", title, places=places, rollout=rollout)
        bar.update()
    bar.close()
    if predictions.answers:
        print(f"what speaks for the answers: {folder}")


def _maps(
    networks: Sequence[SliceClassifier], picture: NDArray, target: int, how: str = "gradcam"
) -> tuple[dict[str, NDArray], dict[str, Place], NDArray | None]:
    """Maps by the name of the layer or of the method, their places, and the rollout where there is attention."""
    image = torch.from_numpy(np.ascontiguousarray(picture)).expand(3, -1, -1).to(networks[0].temperature.device)
    if how == "occlusion":
        each = [{how: occlusion(network, image, target=target)} for network in networks]
    else:
        each = [layer_maps(network, image, target=target, plus_plus=how == "gradcam++") for network in networks]
    maps = {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}
    rollout = None
    if any(isinstance(module, SABlock) for module in networks[0].modules()):
        rollout = np.mean([attention_rollout(network, image) for network in networks], axis=0)
    return maps, layer_places(networks[0].body, image), rollout
