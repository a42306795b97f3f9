import hashlib
from pathlib import Path

from brainmri_monai.data.phantom import generate_patients


def digest(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_seed_gives_the_same_bytes(tmp_path):
    for name, seed in [("one", 5), ("same", 5), ("other", 6)]:
        generate_patients(tmp_path / name, patients=2, seed=seed, spacing=3)
    one, same, other = (digest(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert not set(one.values()) & set(other.values())
