"""What the BraTS data sets call their cases, and what their label values mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from brainmri_monai.errors import BrainMRIError

__all__ = ["CONVENTIONS", "MODALITIES", "Convention", "find_convention"]

MODALITIES = ("t1c", "t1", "t2", "flair")
"""The order of channels everywhere in this package, which is that of the model zoo's BraTS bundle."""

_REGIONS = {
    "TC": ("NCR", "NET", "CC", "ET"),
    "WT": ("NCR", "NET", "CC", "ET", "ED"),
    "ET": ("ET",),
    "RC": ("RC",),
    "NET": ("NET",),
    "CC": ("CC",),
    "GTV": ("GTV",),
}
"""Region → its tissues: tumour core, whole tumour, enhancing tumour, and what some sets score by itself."""


@dataclass(frozen=True)
class Convention:
    """How one BraTS data set, or several of one kind, names its cases and labels tissues.

    Args:
        name: by which a person chooses it, as in ``--convention brats2023``.
        ids: what a case's id looks like: a regular expression with the groups ``patient``, and, where the id tells,
            ``timepoint`` and ``site``. Capitals do not matter.
        labels: value in the label map → tissue: NCR (necrosis, with non-enhancing tumour where the set does not part
            them), NET (non-enhancing tumour), CC (cystic component), ET (enhancing tumour), ED (oedema), RC (resection
            cavity), GTV (gross tumour volume). 0 is the background.
        grid: voxels of every volume; None where it varies.
        modalities: what each case has.
        stripped: whether the skull was taken away.
        channels: the order of the modalities, for a set that keeps all of them in one 4D file.
    """

    name: str
    ids: str
    labels: Mapping[int, str] = field(hash=False)
    grid: tuple[int, int, int] | None = (240, 240, 155)
    modalities: tuple[str, ...] = MODALITIES
    stripped: bool = True
    channels: tuple[str, ...] | None = None

    @property
    def regions(self) -> dict[str, tuple[int, ...]]:
        """Region → its label values: TC, WT and ET, and after them those that this set alone has."""
        values = {
            region: tuple(value for value, tissue in self.labels.items() if tissue in tissues)
            for region, tissues in _REGIONS.items()
        }
        return {region: own for region, own in values.items() if own}

    def allows(self, values: Iterable[int]) -> bool:
        """Tell whether these label values, with or without the background, may occur."""
        return {*values} <= {0, *self.labels}

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(f'{value} {tissue}' for value, tissue in self.labels.items())})"


_BEFORE_2023 = {1: "NCR", 2: "ED", 4: "ET"}
_SINCE_2023 = {1: "NCR", 2: "ED", 3: "ET"}
_WITH_CAVITY = {**_SINCE_2023, 4: "RC"}
_SITE_IN_ID = r"_(?P<site>[^_]+)_[^_]+)(_(?P<timepoint>\d+))?"
_PED = r"(?P<patient>BraTS-PED-\d+)-(?P<timepoint>\d+)"
_GLI = r"(?P<patient>BraTS-GLI-\d+)-(?P<timepoint>\d+)"
_MET = r"(?P<patient>BraTS-MET-\d+)-(?P<timepoint>\d+)"

_ALL = (
    # the pre-operative scans of TCGA in BraTS' space; the second part of an id is the hospital
    Convention(
        "brats-tcga", r"(?P<patient>TCGA-(?P<site>\w\w)-\w{4})(_(?P<timepoint>\d{4}\.\d\d\.\d\d))?", _BEFORE_2023
    ),
    Convention("brats2017", r"(?P<patient>Brats17" + _SITE_IN_ID, _BEFORE_2023),
    Convention("brats2018", r"(?P<patient>Brats18" + _SITE_IN_ID, _BEFORE_2023),
    Convention("brats2019", r"(?P<patient>BraTS19" + _SITE_IN_ID, _BEFORE_2023),
    Convention("brats2020", r"(?P<patient>BraTS20_\w+_\d+)", _BEFORE_2023),
    Convention("brats2021", r"(?P<patient>BraTS2021_\d+)", _BEFORE_2023),
    Convention("brats2023", r"(?P<patient>BraTS-(GLI|MEN|SSA)-\d+)-(?P<timepoint>\d+)", _SINCE_2023),
    Convention("brats2024-gli", _GLI, _WITH_CAVITY, grid=(182, 218, 182)),
    Convention("brats-met", _MET, _SINCE_2023),
    Convention("brats2025-met", _MET, _WITH_CAVITY, grid=None),
    Convention("brats-goat", r"(?P<patient>BraTS-GoAT-\d+)", _SINCE_2023),
    Convention("brats2023-ped", _PED, _SINCE_2023),
    Convention("brats2024-ped", _PED, {1: "ET", 2: "NET", 3: "CC", 4: "ED"}),
    Convention(
        "men-rt",
        r"(?P<patient>BraTS-MEN-RT-\d+)-(?P<timepoint>\d+)",
        {1: "GTV"},
        grid=None,
        modalities=("t1c",),
        stripped=False,
    ),
    # its value 2 is called non-enhancing tumour, and covers what the others call necrosis: their NCR
    Convention(
        "msd",
        r"(?P<patient>BRATS_\d+)",
        {1: "ED", 2: "NCR", 3: "ET"},
        channels=("flair", "t1", "t1c", "t2"),
    ),
    Convention("ucsf-pdgm", r"(?P<patient>UCSF-PDGM-\d{3,4})(_(?P<timepoint>FU\w+))?", _BEFORE_2023),
    Convention("upenn-gbm", r"(?P<patient>UPENN-GBM-\d+)_(?P<timepoint>\d+)", _BEFORE_2023),
)

CONVENTIONS = {convention.name: convention for convention in _ALL}
"""Name → convention, the older sets first."""


def find_convention(name: str) -> Convention:
    """Find a convention by its name.

    Raises:
        BrainMRIError: when there is none; suggests the nearest.

    Example:
        >>> str(find_convention("msd"))
        'msd (1 ED, 2 NCR, 3 ET)'
    """
    if name not in CONVENTIONS:
        near = difflib.get_close_matches(name, CONVENTIONS, n=1, cutoff=0.4)
        raise BrainMRIError(
            f"unknown convention {name!r}{f'; did you mean {near[0]!r}?' if near else '.'}\n"
            f"Conventions: {', '.join(CONVENTIONS)}."
        )
    return CONVENTIONS[name]
