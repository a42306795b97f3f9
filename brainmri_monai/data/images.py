"""Slices from files: pictures, NIfTI volumes and DICOM series, all as the same kind of array."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from brainmri_monai.data.dicom import dicom_doubts, is_dicom, read_dicom
from brainmri_monai.data.nifti import VOLUME_SUFFIXES, is_nifti, open_nifti, orientation_doubts, read_nifti
from brainmri_monai.data.stack import MAX_PIXELS, Doubts, ImageError, Stack, check_finite, check_size, reason_of

__all__ = [
    "SLICE_SUFFIXES",
    "depth_errors",
    "is_picture",
    "read_doubts",
    "read_slices",
    "read_stack",
    "require_no_strip",
    "require_portable",
]

LONGEST = 4  # times the shorter side of a slice, beyond any field of view
SLICE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF")  # the MPO of some cameras opens as a JPEG

_MARKS = {
    b"GIF8": "a GIF picture",
    b"RIFF": "a WebP picture or another RIFF file",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "packed with gzip",
    b"<": "a text page, such as HTML",
    bytes(12): "made of zeros",
}


def is_picture(file: Path) -> bool:
    """Tell by the name whether this is a picture of one slice."""
    return file.name.lower().endswith(SLICE_SUFFIXES)


def read_slices(image: str | Path | Sequence[str | Path]) -> list[np.ndarray]:
    """Read the slices of one patient.

    A slice is rows x columns, top = anterior, left = the patient's right. Pictures are taken as they are, turned as
    their EXIF data says; volumes are brought to the axes "PLS", so that ``volume[:, :, k]`` is such a slice.

    Args:
        image: one slice file, a list of slice files (their order is kept), one NIfTI file (3D, or 4D with 1 or 3
            channels last), one DICOM file, or one folder that holds a DICOM series.

    Returns:
        H W 3 each, uint8 or float32 as the source has it; grey is repeated to three channels, transparency is laid
        on black, and 16-bit values stay as they are (float32, up to 65535), or are scaled to 255 where other slices of
        the list have 8 bits. Do not write into them: those of a volume are views.

    Raises:
        ImageError: when a file is missing, truncated, unreadable or not what its name says, holds NaN or infinite
            values, or is too large or too small to be a slice.

    Example:
        >>> [s.shape for s in read_slices(["001.jpg", "002.jpg"])]
        [(256, 256, 3), (256, 256, 3)]
    """
    if isinstance(image, (str, Path)):
        return read_stack(image).slices
    stacks = [read_stack(file) for file in image]
    for error in depth_errors({Path(file): stack.mode for file, stack in zip(image, stacks, strict=True)}):
        raise error
    if len({stack.slices[0].dtype for stack in stacks}) > 1:
        _bring_to_one_depth(stacks)
    return [s for stack in stacks for s in stack.slices]


def read_stack(file: str | Path) -> Stack:
    """Read one slice file, NIfTI file, DICOM file or DICOM folder, as :func:`read_slices` does.

    Raises:
        ImageError: as :func:`read_slices`.
    """
    file = Path(file)
    if not file.exists():
        raise ImageError(file, "the file is missing", "Check the path, or copy the file there.")
    if file.is_dir():
        if is_picture(file):
            raise ImageError(file, "a folder with the name of a picture", "Rename or remove it.")
        return read_dicom(file)
    if file.stat().st_size == 0:
        raise ImageError(file, "the file is empty (0 bytes)")
    if is_picture(file):
        return _read_picture(file)
    if is_nifti(file):
        return read_nifti(file)
    if is_dicom(file):
        return read_dicom(file)
    kinds = ", ".join((*SLICE_SUFFIXES, *VOLUME_SUFFIXES))
    raise ImageError(file, f"expected a DICOM file or one of {kinds}", "Give a slice, a volume or a DICOM folder.")


def require_no_strip(file: str | Path, picture: np.ndarray) -> None:
    """
    Raises:
        ImageError: when a slice, H W 3, is a strip.
    """
    rows, columns = picture.shape[:2]
    if max(rows, columns) > LONGEST * min(rows, columns):
        raise ImageError(
            file, f"expected a slice, found a strip of {columns} x {rows} pixels", "Export the whole slice."
        )


def depth_errors(modes: Mapping[Path, str]) -> list[ImageError]:
    """Find the pictures of one patient whose values cannot be compared with those of the other pictures.

    Args:
        modes: file → how it stores a pixel (see :class:`~brainmri_monai.data.stack.Stack`).
    """
    if all(_is_deep(mode) for mode in modes.values()):
        return []
    return [
        ImageError(
            file,
            f"expected 8 or 16 bits as in the patient's other slices, found the mode {mode!r}",
            "Export all slices of a patient in one way.",
        )
        for file, mode in modes.items()
        if _is_deep(mode) and not mode.startswith("I;16")
    ]


def read_doubts(file: Path) -> Doubts:
    """Say what is odd about a file or folder as of :func:`read_stack`, and yet can be read, by the headers alone.

    Raises:
        ImageError: when the headers cannot be read.
    """
    if is_nifti(file):
        return orientation_doubts(open_nifti(file))
    return dicom_doubts(file) if file.is_dir() or is_dicom(file) else ()


def require_portable(files: Sequence[str | Path]) -> None:
    """Refuse what MONAI's own readers fail on with traces, or read otherwise than ours.

    Args:
        files: the slices of one patient, or a single volume.

    Raises:
        ImageError: as :func:`read_slices`; and for pictures of more than 8 bits, which those readers clip, TIFFs that
            lie on their side, which they shear, or pictures of several sizes, which they do not stack.
    """
    stacks = {Path(file): read_stack(file) for file in files}
    first = next(iter(stacks.values())).slices[0].shape
    for file, stack in stacks.items():
        pixels = stack.slices[0]
        if is_picture(file) and pixels.dtype != np.uint8:
            what = f"MONAI's own reader takes pictures of 8 bits, this one has the mode {stack.mode!r}"
        elif is_picture(file) and _lies_on_its_side(file):
            what = "MONAI's own reader shears a TIFF that its tag turns by 90°"
        elif pixels.shape != first:
            what = f"MONAI's own reader takes slices of one size, found {_size(first)} and {_size(pixels.shape)}"
        else:
            continue
        raise ImageError(file, what, "Leave out --portable, or add configs/fast.json.")


def _lies_on_its_side(file: Path) -> bool:
    with Image.open(file) as header:
        return header.format == "TIFF" and header.getexif().get(ExifTags.Base.Orientation, 1) > 4


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]}"


def _read_picture(file: Path) -> Stack:
    try:
        # by name, Pillow would map a TIFF that lies on its side into memory with rows for columns
        with open(file, "rb") as stream, Image.open(stream, formats=_FORMATS) as picture:
            check_size(file, picture.height, picture.width)
            pages = getattr(picture, "n_frames", 1)
            if pages > 1 and picture.format != "MPO":  # the JPEG of some cameras holds a preview
                raise ImageError(
                    file, f"a slice file holds one picture, this one holds {pages}", "Save each as a file of its own."
                )
            mode = picture.mode
            pixels = _to_rgb(ImageOps.exif_transpose(picture))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # far above our limit: Pillow does not even open it
        raise ImageError(
            file,
            f"a slice has at most {MAX_PIXELS >> 20} million pixels, found {re.search(r'[0-9]+', str(error))[0]}",
            "Check that this is a scan, and export its slices at their own size.",
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(file, f"the content is not a JPEG, PNG, BMP or TIFF picture: {_start_of(file)}") from error
    except Exception as error:  # a decoder that meets broken bytes raises nearly anything
        raise ImageError(file, f"the picture cannot be decoded: {reason_of(error)}") from error
    check_finite(file, pixels)
    return Stack([pixels], mode)


def _start_of(file: Path) -> str:
    """What a file is, by its first bytes."""
    with open(file, "rb") as stream:
        start = stream.read(12)
    kind = next((kind for mark, kind in _MARKS.items() if start.startswith(mark)), None)
    return f"it is {kind}" if kind else f"it starts with {start!r}"


def _bring_to_one_depth(stacks: list[Stack]) -> None:
    """Scale 16-bit pictures to 255 where others of the patient have 8 bits: white is white in both."""
    for stack in stacks:
        if stack.slices[0].dtype != np.uint8:
            stack.slices[:] = [pixels / np.float32(257) for pixels in stack.slices]


def _is_deep(mode: str) -> bool:
    """Tell whether a picture of this mode has more than 8 bits a pixel."""
    return mode in ("I", "F") or mode.startswith("I;16")


def _to_rgb(picture: Image.Image) -> np.ndarray:
    """Give H W 3: uint8, or float32 when a pixel has more than 8 bits."""
    if _is_deep(picture.mode):
        return np.repeat(np.asarray(picture, dtype=np.float32)[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    return np.array(picture.convert("RGB"))
