import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from torch import nn

from brainmri_monai.engines import GradientClip


@pytest.mark.parametrize(("max_norm", "expected"), [(1.0, 1.0), (0.25, 0.25), (100.0, 5.0), (0.0, 5.0)])
def test_one_step_moves_the_weights_by_the_clipped_gradient(max_norm, expected):
    """The loss 3 a + 4 b has the gradient (3, 4), whose norm is 5; plain descent moves by it."""
    network = nn.Linear(2, 1, bias=False)
    before = network.weight.detach().clone()
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=1,
        train_data_loader=DataLoader([{"image": torch.tensor([3.0, 4.0]), "label": torch.zeros(1)}]),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=1.0),
        loss_function=lambda pred, label: pred.sum(),
        train_handlers=[GradientClip(network, max_norm)],
    )
    trainer.run()
    moved = before - network.weight.detach()
    torch.testing.assert_close(moved, torch.tensor([[0.6, 0.8]]) * expected)
