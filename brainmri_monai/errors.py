"""The exceptions of this package that speak to a user."""

from __future__ import annotations

__all__ = ["BrainMRIError", "WriteError"]


class BrainMRIError(Exception):
    """A mistake that the user can mend: in the data, the options, the files or the machine.

    The message takes at most three lines: what was expected and what was found, where, and what to do. It quotes
    the bad value. ``brainmri`` prints it without a traceback and exits with code 2.
    """


class WriteError(BrainMRIError):
    """A file that cannot be written: whatever was being done ends, since the next file will not fare better."""
