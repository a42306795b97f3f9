import gzip
import itertools
import pickle
import re
import shutil
import struct
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import ExifTags, Image

from brainmri_monai.data.images import read_doubts, read_slices, read_stack, require_portable
from brainmri_monai.data.stack import ImageError

AXES = ["".join(axes) for pairs in itertools.permutations(["RL", "AP", "SI"]) for axes in itertools.product(*pairs)]


@pytest.fixture
def colour(picture) -> np.ndarray:
    return picture(0)


@pytest.fixture
def volume() -> np.ndarray:
    """X Y Z, 10 x 12 x 9, all values different."""
    return np.arange(10 * 12 * 9, dtype=np.int16).reshape(10, 12, 9)


def save_nifti(path, data, affine=None, **kwargs):
    nib.save(nib.Nifti1Image(data, np.eye(4) if affine is None else affine, **kwargs), path)
    return path


def refusal(file) -> str:
    """Read what cannot be read, and give the message, after a look at its form."""
    with pytest.raises(ImageError) as caught:
        read_slices(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3, "what, where, remedy"
    assert str(file) in lines[1]
    return lines[0]


# Pictures


@pytest.mark.parametrize("name", ["s.png", "s.BMP", "s.tif", "s.TIFF", "Schicht ä 1.Png"])
def test_lossless_pictures_keep_their_pixels(tmp_path, colour, name):
    Image.fromarray(colour).save(tmp_path / name)
    np.testing.assert_array_equal(read_slices(tmp_path / name), [colour])


@pytest.mark.parametrize("name", ["s.jpg", "s.JPEG"])
def test_jpeg_is_close(tmp_path, colour, name):
    Image.fromarray(colour).save(tmp_path / name, quality=95)
    (pixels,) = read_slices(tmp_path / name)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - colour).mean() < 3


def test_a_list_keeps_its_order_and_may_mix_sizes_and_modes(tmp_path, picture):
    Image.fromarray(picture(0)).save(tmp_path / "b.png")
    Image.fromarray(picture(1, side=32)).convert("L").save(tmp_path / "a.png")
    shapes = [s.shape for s in read_slices([tmp_path / "b.png", str(tmp_path / "a.png")])]
    assert shapes == [(64, 64, 3), (32, 32, 3)]


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LA", "RGBA"])
def test_other_modes_become_rgb(tmp_path, colour, mode):
    image = Image.fromarray(colour).convert(mode)
    file = tmp_path / ("s.jpg" if mode in ("CMYK", "YCbCr") else "s.png")
    image.save(file)
    (pixels,) = read_slices(file)
    assert pixels.dtype == np.uint8
    tolerance = 0 if file.suffix == ".png" else 8
    assert np.abs(pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() <= tolerance


def test_transparency_lies_on_black(tmp_path):
    pixels = np.full((8, 8, 4), 200, dtype=np.uint8)
    pixels[..., 3] = np.where(np.arange(8) < 4, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "s.png")
    np.testing.assert_array_equal(read_slices(tmp_path / "s.png")[0][0, :, 0], [200] * 4 + [0] * 4)


def test_transparent_palette_lies_on_black(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([9, 9, 9, 50, 60, 70])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "s.png", transparency=0)
    (pixels,) = read_slices(tmp_path / "s.png")
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[1, 1].tolist() == [50, 60, 70]


def test_16_bits_beside_8_bits_are_scaled_to_them(tmp_path):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "8.png")
    Image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "16.png")
    eight, sixteen = read_slices([tmp_path / "8.png", tmp_path / "16.png"])
    np.testing.assert_allclose(sixteen, eight)


def test_another_depth_beside_8_bits_is_refused(tmp_path):
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "8.tif")
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ImageError, match="found the mode 'F'"):
        read_slices([tmp_path / "8.tif", tmp_path / "float.tif"])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_kept(tmp_path, suffix):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / f"s{suffix}")
    (pixels,) = read_slices(tmp_path / f"s{suffix}")
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, np.repeat(values[..., None], 3, axis=2))


UPRIGHT = {
    1: lambda seen: seen,
    2: np.fliplr,
    3: lambda seen: np.rot90(seen, 2),
    4: np.flipud,
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen, -1),
    7: lambda seen: np.rot90(seen, 2).swapaxes(0, 1),
    8: np.rot90,
}


def save_turned(file: Path, seen: np.ndarray, orientation: int) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(seen).save(file, exif=exif)
    return file


@pytest.mark.parametrize("name", ["s.png", "s.tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(tmp_path, colour, name, orientation):
    turn, grey = UPRIGHT[orientation], colour[:-9, :, 0]
    np.testing.assert_array_equal(read_slices(save_turned(tmp_path / name, colour, orientation)), [turn(colour)])
    (found,) = read_slices(save_turned(tmp_path / name, grey, orientation))
    np.testing.assert_array_equal(found[..., 0], turn(grey))


@pytest.mark.parametrize("orientation", [4, 5])
def test_a_tiff_on_its_side_is_not_portable(tmp_path, colour, orientation):
    file = save_turned(tmp_path / "s.tif", colour[..., 0], orientation)
    with pytest.raises(ImageError, match="own reader shears") if orientation > 4 else nullcontext():
        require_portable([file])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_pictures_are_refused(tmp_path, colour, suffix, share):
    file = tmp_path / f"s{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert "picture" in refusal(file)


def test_text_named_png_is_refused_with_its_start(tmp_path):
    (tmp_path / "s.png").write_text("hello world")
    assert refusal(tmp_path / "s.png") == (
        "the content is not a JPEG, PNG, BMP or TIFF picture: it starts with b'hello world'"
    )


def test_formats_with_code_in_them_are_not_opened(tmp_path):
    (tmp_path / "s.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n")
    assert "not a JPEG" in refusal(tmp_path / "s.png")


def test_empty_and_missing_files_are_named(tmp_path):
    (tmp_path / "s.png").touch()
    assert refusal(tmp_path / "s.png") == "the file is empty (0 bytes)"
    assert refusal(tmp_path / "t.png") == "the file is missing"


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert refusal(tmp_path / "notes.txt").startswith("expected a DICOM file or one of .jpg,")


def png_header(width: int, height: int) -> bytes:
    """Give a PNG that claims a size, without the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 200), (20_000, 20_000), (10_000, 10_000), (8193, 8192)])
def test_sizes_that_no_slice_has_are_refused_from_the_header(tmp_path, width, height):
    (tmp_path / "s.png").write_bytes(png_header(width, height))
    message = refusal(tmp_path / "s.png")
    assert ("at least 8 x 8 pixels" if width < 8 else "64 million pixels") in message
    assert str(width) in message or str(width * height) in message


def test_several_pages_are_refused(tmp_path, colour):
    page = Image.fromarray(colour)
    page.save(tmp_path / "s.tif", save_all=True, append_images=[page, page])
    assert refusal(tmp_path / "s.tif") == "a slice file holds one picture, this one holds 3"


def test_nan_in_a_float_picture_is_refused(tmp_path):
    pixels = np.zeros((8, 8), dtype=np.float32)
    pixels[2, 3] = np.nan
    Image.fromarray(pixels).save(tmp_path / "s.tif")
    assert "NaN" in refusal(tmp_path / "s.tif")


def test_the_error_survives_pickling():
    error = ImageError("p/1.png", "what", "remedy")
    assert str(pickle.loads(pickle.dumps(error))) == "what\np/1.png\nremedy"


# NIfTI


def test_top_is_anterior_and_left_is_the_patients_right(tmp_path):
    data = np.zeros((10, 12, 9), dtype=np.uint8)  # RAS: the last of an axis is right, anterior, superior
    data[9, 11, 8] = 1
    data[0, 11, 8] = 2
    data[9, 0, 0] = 3
    slices = read_slices(save_nifti(tmp_path / "v.nii.gz", data))
    assert len(slices) == 9
    assert slices[0].shape == (12, 10, 3)
    assert (slices[8][0, 0, 0], slices[8][0, 9, 0], slices[0][11, 0, 0]) == (1, 2, 3)


@pytest.mark.parametrize("oblique", [False, True])
def test_any_stored_orientation_gives_the_same_slices(tmp_path, volume, oblique):
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    if oblique:
        cos, sin = np.cos(0.3), np.sin(0.3)
        affine = np.array([[cos, -sin, 0, 5], [sin, cos, 0, -7], [0, 0, 1, 9], [0, 0, 0, 1]]) @ affine
    image = nib.Nifti1Image(volume, affine)
    expected = read_slices(save_nifti(tmp_path / "v.nii", volume, affine))
    assert len(set(AXES)) == 48
    for axes in AXES:
        turn = ornt_transform(io_orientation(affine), axcodes2ornt(axes))
        nib.save(image.as_reoriented(turn), tmp_path / "turned.nii")
        stack = read_stack(tmp_path / "turned.nii")
        np.testing.assert_array_equal(stack.slices, expected)
        assert stack.axes == axes
        np.testing.assert_allclose(stack.spacing, (2, 1, 3), rtol=1e-5)


def test_bytes_stay_bytes_and_scaled_numbers_are_scaled(tmp_path, volume):
    assert read_slices(save_nifti(tmp_path / "v.nii", volume.astype(np.uint8)))[0].dtype == np.uint8
    image = nib.Nifti1Image(volume, np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / "scaled.nii")
    stored = np.asanyarray(nib.load(tmp_path / "scaled.nii").dataobj)
    stack = read_stack(tmp_path / "scaled.nii")
    assert stack.slices[0].dtype == np.float32
    assert (stack.slices[0].min(), stack.slices[-1].max()) == (stored.min(), stored.max())
    assert stack.mode == "int16"


def test_three_channels_are_colours_and_one_is_grey(tmp_path, volume):
    colours = np.stack([volume, volume + 1, volume + 2], axis=-1)
    grey = read_slices(save_nifti(tmp_path / "grey.nii", volume))
    np.testing.assert_array_equal(read_slices(save_nifti(tmp_path / "one.nii", volume[..., None])), grey)
    read = read_slices(save_nifti(tmp_path / "three.nii", colours))
    np.testing.assert_array_equal(np.array(read) - grey, np.broadcast_to([0, 1, 2], np.shape(grey)))


def test_a_volume_without_a_third_axis_is_one_slice(tmp_path, volume):
    flat, thin = (save_nifti(tmp_path / f"{v.ndim}.nii", v) for v in (volume[..., 0], volume[..., :1]))
    np.testing.assert_array_equal(read_slices(flat), read_slices(thin))


@pytest.mark.parametrize("shape", [(100,), (10, 12, 9, 4), (10, 12, 9, 1, 3)])
def test_other_shapes_are_refused(tmp_path, shape):
    assert str(shape) in refusal(save_nifti(tmp_path / "v.nii.gz", np.zeros(shape, dtype=np.uint8)))


def test_a_thin_volume_is_refused(tmp_path):
    assert "found 10 x 4" in refusal(save_nifti(tmp_path / "v.nii", np.zeros((10, 4, 30), dtype=np.uint8)))


def test_complex_numbers_are_refused(tmp_path, volume):
    assert "complex64" in refusal(save_nifti(tmp_path / "v.nii", volume.astype(np.complex64)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
def test_truncated_volumes_are_refused(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 999, (20, 20, 20)).astype(np.int16)
    file = save_nifti(tmp_path / f"v{suffix}", noise)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert refusal(file)


def test_flipped_bits_in_a_compressed_volume_are_refused(tmp_path):
    noise = np.random.default_rng(0).normal(500, 20, (20, 20, 20)).astype(np.int16)
    file = save_nifti(tmp_path / "v.nii.gz", noise)
    content = file.read_bytes()
    for place in range(len(content) // 2, len(content) - 8, len(content) // 40):
        flipped = bytearray(content)
        flipped[place] ^= 4
        file.write_bytes(flipped)
        assert refusal(file)


def test_text_named_nifti_is_refused(tmp_path):
    for name in ("v.nii", "v.nii.gz"):
        (tmp_path / name).write_text("hello world")
        assert "header" in refusal(tmp_path / name)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(10_000, 10_000, 10_000), (300, 300, 300)])
def test_a_header_that_claims_more_than_the_file_can_hold_is_refused(tmp_path, shape, suffix):
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.int16)
    header["magic"], header["vox_offset"] = b"n+1", 352
    content = header.binaryblock + bytes(4 + 1000)
    file = tmp_path / f"v{suffix}"
    file.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    assert f"the header claims {shape}" in refusal(file)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_in_a_volume_are_refused(tmp_path, volume, value):
    data = volume.astype(np.float32)
    data[1, 2, 3] = data[4, 4, 4] = value
    assert refusal(save_nifti(tmp_path / "v.nii.gz", data)) == "2 of 1080 values are NaN or infinite"


def test_an_affine_without_directions_is_refused(tmp_path, volume):
    file = save_nifti(tmp_path / "v.nii", volume)
    content = bytearray(file.read_bytes())
    content[312:328] = bytes(16)  # srow_z of the header: no axis points up
    file.write_bytes(content)
    assert "direction" in refusal(file)


def test_a_header_without_orientation_is_doubted(tmp_path, volume):
    image = nib.Nifti1Image(volume, np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "v.nii")
    ((what, _),) = read_stack(tmp_path / "v.nii").doubts
    assert read_doubts(tmp_path / "v.nii") == read_stack(tmp_path / "v.nii").doubts
    assert what == "the header gives no orientation; LAS is assumed"


# DICOM


def affine_of(axes: str, angle: float = 0.0) -> np.ndarray:
    """Give an affine whose axes point to these directions, turned about the vertical axis."""
    affine = np.zeros((4, 4))
    affine[:, 3] = [12, -30, 8, 1]
    for k, (letter, size) in enumerate(zip(axes, (1.0, 2.0, 3.5), strict=True)):
        for row, letters in enumerate(("LR", "PA", "IS")):
            if letter in letters:
                affine[row, k] = size * (1 if letters[1] == letter else -1)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


@pytest.mark.parametrize("angle", [0.0, 0.2])
@pytest.mark.parametrize("axes", ["LPS", "LPI", "PIL", "PIR", "LIA", "RAS"])
def test_a_dicom_series_and_the_nifti_of_the_same_volume_agree(tmp_path, volume, write_dicom, axes, angle):
    affine = affine_of(axes, angle)
    write_dicom(tmp_path / "series", volume, affine)
    dicom = read_stack(tmp_path / "series")
    nifti = read_stack(save_nifti(tmp_path / "v.nii.gz", volume, affine))
    np.testing.assert_array_equal(dicom.slices, nifti.slices)
    np.testing.assert_allclose(dicom.spacing, nifti.spacing, rtol=1e-5)


def test_one_dicom_file_is_a_series_of_one_slice(tmp_path, volume, write_dicom):
    (file,) = write_dicom(tmp_path / "series", volume[..., :1], affine_of("LPS"))
    for image in (file, file.parent):
        np.testing.assert_array_equal(read_slices(image), [np.repeat(volume[:, :, 0].T[..., None], 3, axis=2)])


def write_frames(file: Path, slices: list[Path], order: Sequence[int], placed: bool = True) -> Path:
    """Write the slices of a series into one file with frames, as new scanners do (Enhanced MR)."""
    import pydicom
    from pydicom.dataset import Dataset
    from pydicom.uid import EnhancedMRImageStorage

    read = [pydicom.dcmread(slices[k]) for k in order]
    data = pydicom.dcmread(slices[0])
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = EnhancedMRImageStorage
    measures, turned, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
    turned.ImageOrientationPatient = data.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turned]
    frames = []
    for one in read:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = [place]
        frames.append(frame)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(data, name)
    data.NumberOfFrames = len(read)
    data.SharedFunctionalGroupsSequence = [shared]
    data.PerFrameFunctionalGroupsSequence = frames if placed else []
    data.PixelData = b"".join(one.PixelData for one in read)
    file.parent.mkdir(parents=True)
    data.save_as(file, enforce_file_format=True)
    return file


@pytest.mark.parametrize("axes", ["LPS", "LPI", "PIL"])
@pytest.mark.parametrize("turned", [False, True])
def test_one_file_with_frames_is_read_as_the_series_of_its_slices(tmp_path, volume, write_dicom, axes, turned):
    slices = write_dicom(tmp_path / "series", volume, affine_of(axes, 0.2))
    order = list(range(len(slices)))[:: -1 if turned else 1]
    frames = write_frames(tmp_path / "frames/a.dcm", slices, order)
    one, many = read_stack(frames), read_stack(tmp_path / "series")
    np.testing.assert_array_equal(one.slices, many.slices)
    np.testing.assert_allclose(one.spacing, many.spacing, rtol=1e-5)
    assert one.axes == many.axes


def test_frames_that_do_not_tell_their_place_or_lie_in_two_files_are_refused(tmp_path, volume, write_dicom):
    slices = write_dicom(tmp_path / "series", volume, affine_of("LPS"))
    assert "does not tell where" in refusal(write_frames(tmp_path / "lost/a.dcm", slices, range(9), placed=False))
    write_frames(tmp_path / "two/a.dcm", slices, range(9))
    shutil.copyfile(slices[0], tmp_path / "two/b.dcm")
    assert "several frames in one of them" in refusal(tmp_path / "two")


def test_the_rescale_slope_is_applied(tmp_path, volume, write_dicom):
    write_dicom(tmp_path, volume, affine_of("LPS"), RescaleSlope=2, RescaleIntercept=-5)
    np.testing.assert_array_equal(read_slices(tmp_path)[1][:, :, 0], 2.0 * volume[:, :, 1].T - 5)


def test_other_files_beside_a_series_do_not_matter(tmp_path, volume, write_dicom):
    write_dicom(tmp_path, volume, affine_of("LPS"))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "._IM1.dcm").write_bytes(b"\0")
    assert len(read_slices(tmp_path)) == 9


def test_several_series_are_refused_by_name(tmp_path, volume, write_dicom):
    write_dicom(tmp_path, volume, affine_of("LPS"))
    write_dicom(tmp_path, volume[..., :2], affine_of("LPS"), SeriesDescription="flair")
    message = refusal(tmp_path)
    assert message.startswith("a folder holds one DICOM series, found 2")
    assert "'t1' of 9 files" in message
    assert "'flair' of 2 files" in message


def test_a_folder_without_a_series_is_refused(tmp_path):
    assert refusal(tmp_path) == "a folder holds one DICOM series, found 0"


@pytest.mark.parametrize("keep", [150, 400, -1, -100])
def test_a_truncated_dicom_file_is_refused_by_name(tmp_path, volume, write_dicom, keep):
    file = write_dicom(tmp_path, volume, affine_of("LPS"))[4]
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ImageError) as caught:
        read_slices(tmp_path)
    assert caught.value.where == str(file)


@pytest.mark.parametrize("share", [0.7, 0.98])
def test_a_truncated_compressed_dicom_file_is_refused(tmp_path, volume, write_dicom, share):
    import pydicom
    from pydicom.uid import RLELossless

    write_dicom(tmp_path, volume, affine_of("LPS"))
    for file in tmp_path.iterdir():
        data = pydicom.dcmread(file)
        data.compress(RLELossless)
        data.save_as(file)
    assert len(read_slices(tmp_path)) == 9
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(ImageError):
        read_slices(tmp_path)


def test_a_missing_slice_is_doubted(tmp_path, volume, write_dicom):
    write_dicom(tmp_path, volume, affine_of("LPS"))[4].unlink()
    ((what, _),) = read_stack(tmp_path).doubts
    assert read_doubts(tmp_path) == read_stack(tmp_path).doubts
    assert what == "the slices are 3.5 to 7 mm apart, as when some are missing"


def test_text_named_dcm_is_refused(tmp_path):
    (tmp_path / "s.dcm").write_text("hello world")
    assert "cannot be read" in refusal(tmp_path / "s.dcm")


def test_slices_at_the_same_place_are_refused(tmp_path, volume, write_dicom):
    for file in write_dicom(tmp_path, volume, affine_of("LPS"), series="1.2.3"):
        file.rename(file.with_suffix(".dcm"))
    write_dicom(tmp_path, volume, affine_of("LPS"), series="1.2.3")
    assert "same place" in refusal(tmp_path)


def test_slices_that_are_not_parallel_are_refused(tmp_path, volume, write_dicom):
    for file in write_dicom(tmp_path, volume, affine_of("LPS"), series="1.2.3"):
        file.rename(file.with_suffix(".dcm"))
    write_dicom(tmp_path, volume, affine_of("PIL"), series="1.2.3")
    assert "not parallel" in refusal(tmp_path)


def test_a_truncated_file_of_a_series_is_named(write_dicom, tmp_path):
    volume = np.random.default_rng(0).integers(0, 900, (16, 16, 4)).astype(np.int16)
    files = write_dicom(tmp_path / "series", volume, np.diag([-1.0, -1.0, 5.0, 1.0]))
    files[1].write_bytes(files[1].read_bytes()[:-200])
    with pytest.raises(ImageError, match=files[1].name):
        read_slices(tmp_path / "series")


def test_a_link_of_a_series_that_leads_to_nothing_is_named(write_dicom, tmp_path):
    volume = np.random.default_rng(0).integers(0, 900, (16, 16, 4)).astype(np.int16)
    files = write_dicom(tmp_path / "series", volume, np.diag([-1.0, -1.0, 5.0, 1.0]))
    files[1].rename(tmp_path / "elsewhere")
    files[1].symlink_to(tmp_path / "gone")
    assert "leads to nothing" in refusal(tmp_path / "series")


def test_what_monais_readers_take_is_portable(write_slices, tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    assert require_portable(write_slices(tmp_path / "slices", grey)) is None


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (Image.new("I;16", (30, 20), 4000), "takes pictures of 8 bits, this one has the mode 'I;16'"),
        (Image.new("L", (31, 20), 7), "takes slices of one size, found 30 x 20 and 31 x 20"),
        (Image.new("L", (1, 1), 7), "a slice has at least 8 x 8"),
    ],
    ids=["16 bits", "another size", "one pixel"],
)
def test_what_monais_readers_read_otherwise_is_not(write_slices, tmp_path, odd, said):
    files = write_slices(tmp_path / "slices", np.random.default_rng(0).integers(0, 255, (2, 20, 30), dtype=np.uint8))
    odd.save(tmp_path / "odd.png")
    with pytest.raises(ImageError, match=re.escape(said)):
        require_portable([*files, tmp_path / "odd.png"])
