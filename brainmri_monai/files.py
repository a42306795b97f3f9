"""Files that a reader or a crash never sees half written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brainmri_monai.errors import BrainMRIError, WriteError

__all__ = ["filling", "replacing", "require_writable", "write_json", "write_text"]

_UMASK = os.umask(0)  # to read it is to set it, for all threads: so once, before there are any
os.umask(_UMASK)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends well, it takes the place of ``path`` in one step.

    Folders are made as needed. When the block raises, ``path`` stays as it was and the temporary file is removed.

    Args:
        path: the file to write or to replace.

    Raises:
        WriteError: when the folder cannot be written or the disk is full.

    Example:
        >>> with replacing(folder / "numbers.txt") as temporary:
        ...     temporary.write_text("1 2 3")
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the suffix stays last: writers such as np.save and nibabel choose the format by it
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix="".join(path.suffixes[-2:]))
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_UMASK)  # mkstemp makes private files; ours are for colleagues too
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {_reason(error)}\n"
            "Choose a folder that you may write to and that has room, for example with --output_dir."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def filling(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside ``folder``; when the block ends well, it becomes ``folder`` in one step.

    When the block raises or is interrupted, the temporary folder is removed.

    Args:
        folder: a new or empty folder.

    Raises:
        BrainMRIError: when there is something at ``folder``.
        WriteError: when it cannot be written or the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BrainMRIError(
            f"expected a new or empty folder, found something in {folder}\n"
            "Choose another folder, or remove this one first."
        )
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        yield temporary
        os.chmod(temporary, 0o777 & ~_UMASK)
        os.replace(temporary, folder)
    except OSError as error:
        raise WriteError(
            f"cannot write {folder}: {_reason(error)}\nChoose a folder that you may write to, on a disk that has room."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def require_writable(folder: str | Path) -> None:
    """
    Raises:
        WriteError: when no file can be written into the folder, which is made if it is not there.
    """
    probe = Path(folder) / ".writable"
    write_text(probe, "")
    probe.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as readable JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _reason(error: OSError) -> str:
    """What the system says; NumPy says no more than how much it could write."""
    return error.strerror or (os.strerror(errno.ENOSPC) if "written" in str(error) else str(error))
