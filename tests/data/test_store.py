import os
import threading

import numpy as np
import pytest

from brainmri_monai.data.store import ArrayStore


class Maker:
    """Makes an array of ones and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image) -> np.ndarray:
        self.calls += 1
        return np.ones((len(image), 4), dtype=np.uint8)


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def files(tmp_path) -> list:
    for name in ("1.png", "2.png"):
        (tmp_path / name).write_bytes(name.encode())
    return [tmp_path / "1.png", tmp_path / "2.png"]


@pytest.fixture
def store(tmp_path) -> ArrayStore:
    return ArrayStore(tmp_path / "cache", "recipe")


def test_an_array_is_made_once(store, files, make):
    first, second = store.get(files, make), store.get([str(file) for file in files], make)
    assert make.calls == 1
    np.testing.assert_array_equal(first, np.ones((2, 4)))
    np.testing.assert_array_equal(second, first)


def test_another_store_on_the_same_folder_finds_it(store, files, make):
    store.get(files, make)
    ArrayStore(store.folder, "recipe").get(files, make)
    assert make.calls == 1


def test_another_recipe_makes_another_array(store, files, make):
    store.get(files, make)
    ArrayStore(store.folder, "other").get(files, make)
    assert make.calls == 2


def test_a_changed_source_is_read_anew(store, files, make):
    store.get(files, make)
    status = files[1].stat()
    files[1].write_bytes(b"other")  # of the same size
    os.utime(files[1], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    store.get(files, make)
    assert make.calls == 2


def test_the_order_of_the_slices_matters(store, files, make):
    store.get(files, make)
    store.get(files[::-1], make)
    assert make.calls == 2


def test_a_folder_is_its_files(store, tmp_path, make):
    series = tmp_path / "series"
    (series / "notes").mkdir(parents=True)
    (series / "1.dcm").touch()
    store.get([series], make)
    (series / "2.dcm").touch()
    store.get([series], make)
    assert make.calls == 2


def test_writing_to_an_array_changes_neither_the_file_nor_what_others_see(store, files, make):
    mine = store.get(files, make)
    mine[:] = 7
    assert (store.get(files, make) == 1).all()
    assert make.calls == 1


def test_a_failure_leaves_nothing_behind(store, files, make):
    def fail(image):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        store.get(files, fail)
    assert not list(store.folder.glob("*"))
    store.get(files, make)
    assert make.calls == 1


def test_the_folder_may_be_deleted_between_runs(store, files, make):
    store.path(files)
    store.get(files, make)
    store.path(files).unlink()
    store.folder.rmdir()
    assert (store.get(files, make) == 1).all()


def test_threads_that_want_the_same_array_all_get_it_whole(store, files):
    start = threading.Barrier(4)
    got = []

    def make(image):
        return np.ones((1000, 1000), dtype=np.uint8)

    def ask():
        start.wait()
        got.append(store.get(files, make).sum())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1_000_000] * 4
    assert len(os.listdir(store.folder)) == 1
