"""Batches straight from the array of all slices."""

import numpy as np
import pytest
import torch
from monai.data import DataLoader
from PIL import Image

from brainmri_monai.data.slices.datalist import SliceList
from brainmri_monai.data.slices.folders import find_slices
from brainmri_monai.data.stack import ImageError
from brainmri_monai.engines import SliceBatches, as_it_is, picture_store
from brainmri_monai.engines.slices.reading import read_set
from brainmri_monai.transforms import LoadPictured, prepare_picture


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return picture_store(tmp_path_factory.mktemp("store"), 32)


@pytest.fixture(scope="module")
def datalist(slice_set, store) -> SliceList:
    read = read_set(find_slices(slice_set), store, 32)
    parts = {"training": read.entries(read.twins)[::2], "validation": [], "test": []}
    return SliceList(slice_set, "slices", ["glioma", "meningioma", "notumor", "pituitary"], {}, parts)


def test_a_batch_holds_what_the_files_hold(datalist, store):
    data = SliceBatches(datalist, "training", store, 32)
    loader = DataLoader(data, batch_size=5, num_workers=0, collate_fn=as_it_is)
    batches = list(loader)
    assert [len(batch["id"]) for batch in batches] == [5, 5, 5, 3]
    load = LoadPictured("image", 32)
    for batch in batches:
        assert batch["image"].shape == (len(batch["id"]), 3, 32, 32)
        for name, image, label in zip(batch["id"], batch["image"], batch["label"], strict=True):
            assert torch.equal(image, load({"image": datalist.root / name})["image"])
            assert name.startswith(datalist.types[label].replace("notumor", "no"))


def test_a_strip_is_no_slice(tmp_path):
    Image.new("L", (200, 40), 9).save(tmp_path / "strip.png")
    with pytest.raises(ImageError, match="expected a slice, found a strip of 200 x 40 pixels"):
        LoadPictured("image", 32)({"image": tmp_path / "strip.png"})


def test_at_most_so_many_slices_are_taken_from_all_of_them(datalist, store):
    data = SliceBatches(datalist, "training", store, 32, at_most=5)
    assert len(data) == 5
    assert len({sample["label"] for sample in data.samples}) > 1


def test_a_stored_set_is_read_no_second_time(slice_set, store, datalist, monkeypatch):
    monkeypatch.setattr("brainmri_monai.engines.slices.reading.usable_slices", None)
    again = read_set(find_slices(slice_set), store, 32)
    assert len(again.items) == len(again.pictures) == 36


def test_a_changed_file_is_read_anew(write_slice_set, tmp_path):
    root, store = write_slice_set(tmp_path / "set", {"glioma": 3, "no": 3}), picture_store(tmp_path / "store", 32)
    before = read_set(find_slices(root), store, 32)
    (root / "glioma/0.png").write_bytes((root / "no/0.png").read_bytes())
    after = read_set(find_slices(root), store, 32)
    assert len(before.items) == 6
    assert len(after.items) == 4  # one picture in two classes is left out of both


def test_a_slice_is_grey_square_and_stretched():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20] = (200, 100, 50)
    prepared = prepare_picture(picture, 16)
    assert prepared.shape == (16, 16)
    assert prepared.dtype == np.uint8
    assert (prepared[:7] == 255).all()
    assert (prepared[9:] == 0).all()


def test_an_empty_slice_stays_empty():
    assert not prepare_picture(np.full((20, 20, 3), 77, np.uint8), 16).any()


def test_eight_and_sixteen_bits_give_the_same_slice():
    picture = np.random.default_rng(0).integers(0, 256, (30, 30, 1), dtype=np.uint8).repeat(3, axis=2)
    sixteen = picture.astype(np.float32) * 257
    assert np.abs(prepare_picture(picture, 16).astype(int) - prepare_picture(sixteen, 16)).max() <= 1
