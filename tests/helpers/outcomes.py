"""What commands leave behind, for tests to look at."""

import json
from pathlib import Path
from typing import Any

__all__ = ["assert_told", "read"]


def read(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def assert_told(result: tuple[int, str, str], *said: str) -> None:
    """Exit code 2, and an error of at most three lines that holds these words."""
    code, _, err = result
    assert code == 2, err
    assert "Traceback" not in err
    message = err[err.index("error: ") :]
    assert len(message.splitlines()) <= 3, message
    for words in said:
        assert words in message
