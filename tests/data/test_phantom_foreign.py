import numpy as np
import pytest

from brainmri_monai.data.phantom.foreign import FOREIGN, draw_foreign


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_seed_gives_the_same_picture_and_another_seed_another(kind):
    first, again, other = (draw_foreign(np.random.default_rng(seed), kind, 64) for seed in (1, 1, 2))
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    if kind != "blank":  # most are black or white
        assert not np.array_equal(first, other)


def test_kinds_do_not_look_alike():
    """Mean and deviation of the grey values, over some of each, are enough to tell these apart."""

    def look(kind: str) -> np.ndarray:
        random = np.random.default_rng(0)
        pictures = np.stack([draw_foreign(random, kind, 64) for _ in range(8)])
        return np.array([np.median(pictures), pictures.std(axis=(1, 2, 3)).mean()])

    looks = np.stack([look(kind) for kind in ("blank", "text", "histology", "ct_head", "photograph")])
    apart = np.linalg.norm(looks[:, None] - looks[None], axis=2)
    assert apart[np.triu_indices(len(looks), 1)].min() > 10
