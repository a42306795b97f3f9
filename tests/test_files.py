import json
import os
import stat
import threading

import pytest

from brainmri_monai.errors import BrainMRIError, WriteError
from brainmri_monai.files import replacing, require_writable, write_json, write_text


def test_a_file_appears_whole_in_folders_made_as_needed(tmp_path):
    path = tmp_path / "a" / "b" / "numbers.txt"
    with replacing(path) as temporary:
        temporary.write_text("1 2 3")
        assert not path.exists()
    assert path.read_text() == "1 2 3"
    assert os.listdir(path.parent) == ["numbers.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("old")

    def write_and_fail():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        write_and_fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["numbers.txt"]


def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "numbers.txt"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def test_the_temporary_name_keeps_the_suffix_by_which_writers_choose_the_format(tmp_path):
    for name in ("volume.nii.gz", "array.npy", "no suffix"):
        with replacing(tmp_path / name) as temporary:
            assert temporary.name.endswith(name[name.index(".") :] if "." in name else "")
            assert temporary.name.startswith(".")  # a listing of the folder does not show it


def test_files_can_be_read_by_whom_the_umask_allows(tmp_path):
    write_text(tmp_path / "text", "")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "text").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_threads_that_write_leave_the_umask_as_it_was(tmp_path):
    before = os.umask(0)
    os.umask(before)
    threads = [
        threading.Thread(target=lambda k=k: [write_text(tmp_path / f"{k}", str(i)) for i in range(100)])
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = os.umask(before)
    assert after == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o666 & ~before}


def test_json_is_for_people_too(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Jürgen", "values": [1, None]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"name": "Jürgen", "values": [1, None]}
    assert "Jürgen" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("place", ["below a file", "a folder"])
def test_a_place_that_cannot_be_written_is_said(tmp_path, place):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.json" if place == "below a file" else tmp_path
    with pytest.raises(BrainMRIError, match="cannot write") as error:
        write_text(path, "x")
    assert str(path) in str(error.value)
    assert "--output_dir" in str(error.value)
    assert len(str(error.value).splitlines()) <= 3


def test_whether_a_folder_can_be_written_is_known_before_it_is_needed(tmp_path):
    require_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot write"):
        require_writable(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BrainMRIError, match="Permission denied"):
        write_text(tmp_path / "a.json", "x")
