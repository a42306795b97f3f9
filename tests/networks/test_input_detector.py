import numpy as np
import pytest
import torch

from brainmri_monai.data.phantom.foreign import FOREIGN, draw_foreign
from brainmri_monai.data.phantom.patients import draw_slices
from brainmri_monai.networks import InputDetector
from brainmri_monai.networks.picture_statistics import NUM_STATISTICS
from brainmri_monai.transforms.pictures import prepare_picture


@pytest.fixture
def statistics() -> torch.Tensor:
    """Correlated, on scales from 1 to 100, with an offset."""
    random = torch.Generator().manual_seed(0)
    mixing = torch.randn(NUM_STATISTICS, NUM_STATISTICS, generator=random)
    spread = torch.eye(NUM_STATISTICS) + 0.1 * mixing
    return torch.randn(500, NUM_STATISTICS, generator=random) @ spread * torch.logspace(0, 2, NUM_STATISTICS) + 10


def tensors(pictures: list[np.ndarray]) -> torch.Tensor:
    prepared = np.stack([prepare_picture(picture, 64) for picture in pictures])
    return (torch.from_numpy(prepared)[:, None] / 255).expand(-1, 3, -1, -1)


def test_nothing_is_foreign_before_the_fit():
    detector = InputDetector()
    distances = detector(torch.tensor([[1e6], [0.0]]).expand(-1, NUM_STATISTICS))
    assert distances.tolist() == [0, 0]
    assert not detector.foreign(distances).any()


def test_it_is_the_mahalanobis_distance(statistics):
    detector = InputDetector()
    detector.fit(statistics, torch.arange(len(statistics)))
    centred = statistics.double() - statistics.double().mean(dim=0)
    precision = torch.linalg.inv(torch.cov(statistics.double().T))
    expected = torch.einsum("nf,fg,ng->n", centred, precision, centred).sqrt()
    torch.testing.assert_close(detector(statistics).double(), expected, atol=1e-3, rtol=1e-3)


def test_a_statistic_that_never_varied_is_watched(statistics):
    statistics[:, 5] = 2
    detector = InputDetector()
    detector.fit(statistics, torch.arange(len(statistics)))
    other = statistics[:1].clone()
    other[0, 5] = 3
    assert detector(other) > 10 * detector(statistics).max()


@pytest.mark.parametrize("count", [3, 30])
def test_few_slices_give_finite_distances(count, statistics):
    detector = InputDetector()
    detector.fit(statistics[:count], torch.arange(count))
    assert detector(statistics).isfinite().all()


def test_the_limit_holds_for_slices_of_other_groups(statistics):
    """With few slices to a statistic, those that it was fitted on lie nearer than new ones."""
    known, new = statistics[:350], statistics[350:]
    detector = InputDetector()
    detector.fit(known, torch.arange(350), share=0.1)
    assert 0.03 < detector.foreign(detector(new)).float().mean() < 0.15
    assert detector.foreign(detector(known)).float().mean() < 0.02
    assert detector.foreign(torch.tensor([float("nan")]))


def test_a_group_is_not_measured_from_itself(statistics):
    twins = statistics[:99].repeat(10, 1)
    detector, alone = InputDetector(), InputDetector()
    detector.fit(twins, torch.arange(99).repeat(10), share=0.1)
    alone.fit(twins, torch.arange(990), share=0.1)
    assert detector.limit > 1.5 * alone.limit


def test_two_groups_are_too_few(statistics):
    with pytest.raises(ValueError, match="at least three groups, found 2"):
        InputDetector().fit(statistics, torch.arange(len(statistics)) % 2)


@pytest.fixture(scope="module")
def brains() -> list[np.ndarray]:
    """Slices of ten generated patients, H W 3, one patient after the other."""
    patients = (draw_slices(np.random.default_rng(seed), "astrocytoma", 2, spacing=3)[0] for seed in range(10))
    return [picture[..., [0]].repeat(3, axis=2) for slices in patients for picture in slices[4:-4]]


def test_what_is_no_brain_is_told_from_generated_brains(brains):
    """Those drawn CTs of the head that lie nearest are left to measurements on real slices."""
    detector, split = InputDetector(), int(0.7 * len(brains))
    with torch.no_grad():
        known = detector.describe(tensors(brains[:split]))
        detector.fit(known, torch.arange(len(known)) * 7 // len(known), share=0.05)  # seven patients
        familiar = detector(detector.describe(tensors(brains[split:])))
        assert detector.foreign(familiar).float().mean() < 0.1
        random = np.random.default_rng(0)
        for kind in FOREIGN:
            pictures = tensors([draw_foreign(random, kind, 96) for _ in range(12)])
            assert detector.foreign(detector(detector.describe(pictures))).float().mean() > 0.9, kind
        inverted = tensors([255 - picture for picture in brains[split:]])
        assert detector.foreign(detector(detector.describe(inverted))).float().mean() > 0.9
