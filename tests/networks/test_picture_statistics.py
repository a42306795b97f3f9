import math

import pytest
import torch

from brainmri_monai.networks import picture_statistics
from brainmri_monai.networks.picture_statistics import NUM_STATISTICS

NONE = math.log(1e-3)


def test_golden_statistics_of_an_even_picture():
    """Grey 0.5 throughout: all in level 8, no differences, rings and borders of 0.5."""
    found = picture_statistics(torch.full((1, 3, 64, 64), 0.5))[0]
    assert found.shape == (NUM_STATISTICS,)
    levels, rings, borders, texture = found.split([16, 16, 4, 36])
    assert levels[8] == pytest.approx(math.log(1.001), abs=1e-6)
    assert levels[[*range(8), *range(9, 16)]].tolist() == pytest.approx([NONE] * 15)
    assert rings.tolist() == pytest.approx([0.5, 0] * 8, abs=1e-6)
    assert borders.tolist() == pytest.approx([0.5] * 4)
    mean, root, share = texture.view(-1, 3).T
    assert mean.tolist() == root.tolist() == pytest.approx([NONE] * 12)
    assert share.tolist() == pytest.approx([math.log(1.001)] * 12, abs=1e-6)


def test_golden_statistics_of_columns():
    """Columns of 0 and 0.25 in turn: 0.25 apart across and not down; from half the size they are even, of 0.125."""
    picture = torch.zeros(1, 1, 64, 64)
    picture[..., 1::2] = 0.25
    texture = picture_statistics(picture)[0, 36:].view(4, 3, 3)  # scale, direction, number
    quarter, half = math.log(0.251), math.log(0.501)
    assert texture[0, 0].tolist() == pytest.approx([quarter, quarter, NONE])
    assert texture[0, 1].tolist() == pytest.approx([NONE, NONE, math.log(1.001)], abs=1e-6)
    assert texture[0, 2].tolist() == pytest.approx([half, half, NONE])  # each of two neighbours is 0.25 away
    assert texture[1:, :, 0].flatten().tolist() == pytest.approx([NONE] * 9)


def test_borders_are_top_bottom_left_and_right():
    picture = torch.zeros(4, 1, 40, 40)
    picture[0, 0, :2], picture[1, 0, -2:], picture[2, 0, :, :2], picture[3, 0, :, -2:] = 1, 1, 1, 1
    borders = picture_statistics(picture)[:, 32:36]
    torch.testing.assert_close(borders.argmax(dim=1), torch.arange(4))
    torch.testing.assert_close(borders.amax(dim=1), torch.ones(4))


def test_a_picture_is_described_alike_alone_and_in_a_batch():
    pictures = torch.rand(3, 3, 48, 64)
    torch.testing.assert_close(picture_statistics(pictures)[:1], picture_statistics(pictures[:1]))


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (256, 224)])
def test_pictures_of_any_size_and_extreme_values_give_finite_numbers(shape):
    for picture in (torch.zeros(1, 1, *shape), torch.ones(1, 1, *shape), torch.rand(1, 1, *shape)):
        assert picture_statistics(picture).isfinite().all()


def test_scripted_equals_eager():
    pictures = torch.rand(2, 3, 40, 48)
    torch.testing.assert_close(torch.jit.script(picture_statistics)(pictures), picture_statistics(pictures))
