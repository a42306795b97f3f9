import pytest
import torch

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.networks import CNN256, VGG16, train_only


def test_of_vgg16_the_new_layer_of_the_seed_is_trained():
    with torch.device("meta"):  # shapes alone
        network = train_only(VGG16(dropout=0.2, grid=7), "classifier.6")
    trained = {name: p.numel() for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {"classifier.6.weight": 4 * 4096, "classifier.6.bias": 4}  # 16,388
    assert sum(p.numel() for p in network.parameters()) == 134_276_932  # the seed's "134 million"


def test_a_step_changes_the_one_layer():
    torch.manual_seed(0)
    network = train_only(CNN256(), "classifier.4")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, weight_decay=0.1)
    torch.nn.functional.cross_entropy(network(torch.rand(2, 3, 256, 256)), torch.tensor([0, 3])).backward()
    optimizer.step()
    changed = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    assert changed == ["classifier.4.weight", "classifier.4.bias"]


@pytest.mark.parametrize("layer", ["classifier.9", "classifier.3", ""])
def test_what_is_no_layer_with_parameters_is_refused(layer):
    network = CNN256()
    with pytest.raises(BrainMRIError, match=f"found '{layer}' for CNN256.\nIts last layer is 'classifier.4'"):
        train_only(network, layer)
    assert all(p.requires_grad for p in network.parameters())
