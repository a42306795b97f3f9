import numpy as np
import pytest

from brainmri_monai.explain import enlarge, mass_share


def test_share_of_mass():
    picture = np.array([[1.0, 2.0], [0.0, 5.0]])
    region = np.array([[False, True], [True, False]])
    assert mass_share(picture, region) == pytest.approx(2 / 8)
    assert np.isnan(mass_share(np.zeros((2, 2)), region))


def test_an_even_map_has_as_much_mass_on_a_region_as_it_has_area():
    region = np.zeros((8, 8), dtype=bool)
    region[:2, :4] = True
    assert mass_share(np.full((8, 8), 0.3), region) == pytest.approx(region.mean())


def test_enlarged_maps_stay_between_their_values():
    large = enlarge(np.array([[0.0, 1.0], [0.25, 0.5]], dtype=np.float32), (9, 11))
    assert large.shape == (9, 11)
    assert large[0, 0] == 0
    assert large[0, -1] == 1
    assert large.min() >= 0
    assert large.max() <= 1
