import pytest
import torch

from brainmri_monai.networks import InputDetector


@pytest.fixture
def vectors() -> torch.Tensor:
    """Correlated, on scales from 1 to 100, with an offset."""
    random = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=random) * torch.logspace(0, 2, 6)
    return torch.randn(200, 6, generator=random) @ mixing + 10


def test_nothing_is_foreign_before_the_fit():
    detector = InputDetector(6)
    distances = detector(torch.tensor([[1e6] * 6, [0.0] * 6]))
    assert distances.tolist() == [0, 0]
    assert not detector.foreign(distances).any()


def test_with_all_directions_it_is_the_mahalanobis_distance(vectors):
    detector = InputDetector(6)
    detector.fit(vectors)
    centred = vectors.double() - vectors.double().mean(dim=0)
    precision = torch.linalg.inv(torch.cov(vectors.double().T))
    expected = torch.einsum("nf,fg,ng->n", centred, precision, centred).sqrt()
    torch.testing.assert_close(detector(vectors).double(), expected, atol=1e-3, rtol=1e-3)


def test_golden_value_with_one_direction():
    """Along (1, 1) the vectors have the variance 1.8 and across it 0.2, and (1, -1) lies across: √(2 / 0.2)."""
    along, across = torch.tensor([1.0, 1.0]) / 2**0.5, torch.tensor([1.0, -1.0]) / 2**0.5
    steps = (3 / 4) ** 0.5  # four vectors with the variances 1.8 and 0.2
    vectors = torch.stack(
        [a * steps * 1.8**0.5 * along + b * steps * 0.2**0.5 * across for a in (-1, 1) for b in (-1, 1)]
    )
    detector = InputDetector(2, directions=1)
    detector.fit(vectors)
    vectors = torch.tensor([[0.0, 0.0], [1.0, -1.0], [1.0, 1.0]])
    torch.testing.assert_close(detector(vectors), torch.tensor([0, 10**0.5, (2 / 1.8) ** 0.5]), atol=1e-5, rtol=1e-5)
    assert detector.directions[:, 0].abs().allclose(along)


@pytest.mark.parametrize("count", [2, 30])
def test_fewer_vectors_than_features_still_give_finite_distances(count):
    detector = InputDetector(50, directions=10)
    vectors = torch.randn(count, 50, generator=torch.Generator().manual_seed(0))
    detector.fit(vectors)
    assert detector(vectors).isfinite().all()
    assert detector(vectors + 100).min() > 10 * detector(vectors).max()


def test_a_feature_that_never_varied_is_watched():
    vectors = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    vectors[:, 2] = 5
    detector = InputDetector(3)
    detector.fit(vectors)
    assert detector(torch.tensor([[0.0, 0.0, 6.0]])) > 100 * detector(vectors).max()


def test_the_stated_share_of_the_validation_lies_beyond_the_limit(vectors):
    detector = InputDetector(6)
    detector.fit(vectors)
    distances = torch.arange(1000.0)
    detector.fit_limit(distances, share=0.01)
    assert detector.foreign(distances).sum() == 10
    assert detector.foreign(torch.tensor([float("nan")]))


def test_one_vector_is_too_few():
    with pytest.raises(ValueError, match="at least two vectors, found 1"):
        InputDetector(3).fit(torch.ones(1, 3))
