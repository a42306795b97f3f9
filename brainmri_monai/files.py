"""Files that a reader or a crash never sees half written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brainmri_monai.errors import BrainMRIError

__all__ = ["replacing", "write_json", "write_text"]

_UMASK = os.umask(0)  # to read it is to set it, for all threads: so once, before there are any
os.umask(_UMASK)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends well, it takes the place of ``path`` in one step.

    Folders are made as needed. When the block raises, ``path`` stays as it was and the temporary file is removed.

    Args:
        path: the file to write or to replace.

    Raises:
        BrainMRIError: when the folder cannot be written or the disk is full.

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
        raise BrainMRIError(
            f"cannot write {path}: {error.strerror or error}\n"
            "Choose a folder that you may write to and that has room, for example with --output_dir."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as readable JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
