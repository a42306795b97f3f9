"""What is built and installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: building leaves files beside the sources
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_every_module_bundle_and_template(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "brainmri_monai").rglob("*.py")}
    templates = {p.relative_to(ROOT).as_posix() for p in (ROOT / "brainmri_monai/report/templates").iterdir()}
    bundle_files = {
        f"brainmri_monai/{path.relative_to(ROOT).as_posix()}"
        for part in ("LICENSE", "configs/*", "docs/*", "models/*")
        for path in (ROOT / "bundles").glob(f"*/{part}")
    }
    assert bundle_files
    assert modules | templates | bundle_files | {"brainmri_monai/py.typed"} <= held


def test_installed_wheel_finds_its_bundles_without_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)  # as pip lays it out
    listed = subprocess.run(
        [sys.executable, "-S", "-c", "from brainmri_monai.cli import main; main(['ls'])"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "brain_tumor_mil_classification" in listed.stdout
