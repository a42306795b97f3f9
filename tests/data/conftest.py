from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _write_dicom(folder: Path, volume: np.ndarray, affine: np.ndarray, series: str | None = None, **tags) -> list[Path]:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing
    series = series or generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for k in range(volume.shape[2]):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
        data.SeriesInstanceUID, data.SeriesDescription, data.Modality = series, "t1", "MR"
        data.InstanceNumber = k + 1
        data.ImagePositionPatient = [float(x) for x in (lps @ [0, 0, k, 1])[:3]]
        data.ImageOrientationPatient = [float(x) for x in cosines[:, :2].T.ravel()]
        data.PixelSpacing = [float(spacing[1]), float(spacing[0])]  # between rows, between columns
        data.SliceThickness = float(spacing[2])
        data.Columns, data.Rows = volume.shape[:2]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.PixelData = volume[:, :, k].T.astype("<u2").tobytes()
        for name, value in tags.items():
            setattr(data, name, value)
        files.append(folder / f"IM{900 - k}-{series[-4:]}")  # names that sort against the order in space
        data.save_as(files[-1], enforce_file_format=True)
    return files


@pytest.fixture
def write_dicom():
    """Write X Y Z whole numbers, with an affine to right, anterior and superior, as a DICOM series; tags override."""
    return _write_dicom


def _picture(seed: int, side: int = 64) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


@pytest.fixture
def picture():
    """Make side x side x 3 unsigned bytes, smooth as a slice is, another one for each seed."""
    return _picture


@pytest.fixture
def write_patient():
    """Write a patient's folder of slices, other ones for each seed."""

    def write(folder: Path, seed: int, slices: int = 3) -> list[Path]:
        folder.mkdir(parents=True)
        files = [folder / f"slice {k}.png" for k in range(slices)]
        for k, file in enumerate(files):
            Image.fromarray(_picture(100 * seed + k)).save(file)
        return files

    return write
