"""Windows over a volume: one where it fits, smaller ones where it does not."""

import pytest
import torch
from torch import nn

from brainmri_monai.engines.volumes.inferer import VolumeInferer


class Local(nn.Module):
    """Looks at one voxel, so that the window does not matter; refuses windows of more voxels than ``most``."""

    def __init__(self, most: int = 10**9) -> None:
        super().__init__()
        self.most = most
        self.windows: list[tuple[int, ...]] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.windows.append(tuple(image.shape[2:]))
        if image[0, 0].numel() > self.most:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")
        return image[:, :3] * 2 + 1


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(1, 4, 160, 96, 64, generator=torch.Generator().manual_seed(0))


def plenty(device: torch.device) -> int:
    return 1 << 50


def test_whole_volume_is_one_window_where_there_is_memory(image, capsys):
    network = Local()
    answer = VolumeInferer(precision="float32", memory=plenty)(image, network)
    assert network.windows == [(160, 96, 64)]
    assert torch.equal(answer, image[:, :3] * 2 + 1)
    assert not capsys.readouterr().out


def test_window_that_was_asked_for_is_used(image):
    network = Local()
    answer = VolumeInferer((64, -1, 64), 0.5, precision="float32", memory=plenty)(image, network)
    assert set(network.windows) == {(64, 96, 64)}
    assert len(network.windows) == 4
    torch.testing.assert_close(answer, image[:, :3] * 2 + 1)


def test_window_shrinks_to_the_memory_that_is_left_and_says_so(image, capsys):
    network = Local()
    free = 70_000_000  # 160 x 96 x 64 are 983,040 voxels, of about 120 bytes
    with torch.inference_mode():
        answer = VolumeInferer(precision="float32", memory=lambda device: free)(image, network)
    assert set(network.windows[1:]) == {(80, 96, 64)}  # the first is the small one that is measured
    torch.testing.assert_close(answer, image[:, :3] * 2 + 1)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "a window of 160×96×64 voxels needs about 0.1 GB" in said
    assert "in windows of 80×96×64" in said


def test_window_shrinks_when_memory_runs_out_and_says_so(image, capsys):
    network = Local(most=300_000)
    answer = VolumeInferer(precision="float32", memory=plenty)(image, network)
    assert network.windows[:3] == [(160, 96, 64), (80, 96, 64), (80, 64, 64)]  # 64 is the least
    torch.testing.assert_close(answer, image[:, :3] * 2 + 1)
    assert "memory ran out in a window of 160×96×64 voxels: now in windows of 80×96×64" in capsys.readouterr().out


def test_other_errors_and_the_smallest_window_are_not_tried_again(image):
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        VolumeInferer(precision="float32", memory=plenty)(image, Local(most=10))
    with pytest.raises(RuntimeError, match="expected"):
        VolumeInferer(precision="float32", memory=plenty)(image, nn.Conv3d(3, 3, 1))
