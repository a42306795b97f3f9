import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, RandShiftIntensityd
from torch.utils.data import DistributedSampler

from brainmri_monai.engines import EpochSeed, PrecisionInferer, collate_bags
from brainmri_monai.engines.patients.bags import EmbeddedDataset
from brainmri_monai.networks import SmallCNN
from brainmri_monai.transforms import SelectSlicesd


def samples() -> list[dict]:
    return [{"id": str(k), "image": torch.full((3, 8, 8, 20), float(k)) + torch.arange(20.0)} for k in range(6)]


def augmented() -> Dataset:
    transforms = [SelectSlicesd("image", "random", 3), RandShiftIntensityd("image", offsets=0.5, prob=0.5)]
    return Dataset(samples(), Compose(transforms))


def embedded() -> EmbeddedDataset:
    torch.manual_seed(0)
    transform = SelectSlicesd("image", "random", 3)
    return EmbeddedDataset(Dataset(samples()), SmallCNN(), PrecisionInferer("float32"), "cpu", transform)


def loader(data) -> DataLoader:
    return DataLoader(data, batch_size=2, shuffle=True, collate_fn=collate_bags)


def epochs(loader: DataLoader, seed: int, first: int = 0, last: int = 3) -> list[torch.Tensor]:
    """What the batches of epochs first + 1 to last hold, beside numbers that torch and NumPy draw."""
    drawn: list[torch.Tensor] = []

    def step(engine, batch) -> None:
        noise = [torch.rand(1), torch.tensor(np.random.rand(1))]
        drawn.append(torch.cat([batch["image"].flatten().double(), *noise]))

    engine = Engine(step)
    EpochSeed(seed, loader).attach(engine)
    engine.state.max_epochs = last
    if first:
        engine.load_state_dict({"epoch": first, "max_epochs": last, "epoch_length": len(loader)})
    engine.run(loader, max_epochs=last)
    return drawn


@pytest.mark.parametrize("make", [augmented, embedded])
def test_an_interrupted_run_draws_as_one_that_was_not(make):
    whole = epochs(loader(make()), seed=7)
    start = epochs(loader(make()), seed=7, last=1)
    rest = loader(make())
    torch.rand(5), np.random.rand(5)  # another process has drawn other numbers before
    resumed = epochs(rest, seed=7, first=1)
    assert len(whole) == 9
    for ours, theirs in zip(start + resumed, whole, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)


def test_epochs_and_seeds_differ():
    first = epochs(loader(augmented()), seed=7)
    other = epochs(loader(augmented()), seed=8)
    assert not torch.equal(first[0], first[3])  # the first batches of two epochs
    assert not torch.equal(first[0], other[0])


def test_a_distributed_sampler_is_told_the_epoch():
    data = augmented()
    sampler = DistributedSampler(data, num_replicas=2, rank=0)
    sharded = DataLoader(data, batch_size=2, sampler=sampler, collate_fn=collate_bags)
    epochs(sharded, seed=7)
    assert sampler.epoch == 3


def test_any_seed_will_do():
    large, small = (epochs(loader(augmented()), seed=seed, last=1) for seed in (2**40, 7))
    assert not torch.equal(large[0], small[0])


def test_workers_that_live_on_are_refused():
    persistent = DataLoader(augmented(), num_workers=1, persistent_workers=True, collate_fn=collate_bags)
    with pytest.raises(ValueError, match="persistent workers"):
        EpochSeed(7, persistent)
