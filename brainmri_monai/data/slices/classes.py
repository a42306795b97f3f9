"""The names of classes: what public sets call them, and what we do."""

from __future__ import annotations

import re

__all__ = ["KNOWN", "canonical_class"]

_SYNONYMS = {
    "glioma": ("gliomas",),
    "meningioma": ("meningiomas",),
    "pituitary": ("pituitaries", "pituitaryadenoma", "pituitaryadenomas"),
    "notumor": ("no", "none", "normal", "healthy", "negative", "nontumor", "withouttumor"),
    "tumor": ("yes", "tumors", "positive", "withtumor", "abnormal"),
}
_CANONICAL = {word: name for name, words in _SYNONYMS.items() for word in (name, *words)}

KNOWN = tuple(_SYNONYMS)
"""Our names of the usual classes; a binary set has ``tumor`` and ``notumor``."""


def canonical_class(folder: str) -> str | None:
    """Give our name of a class by the name of its folder; None for a name that is not among the usual ones.

    Upper and lower case, spaces, hyphens and underscores do not matter, nor do the British spelling or a ``_tumor``
    at the end.

    Example:
        >>> canonical_class("Glioma_tumor"), canonical_class("no"), canonical_class("yes"), canonical_class("lymphoma")
        ('glioma', 'notumor', 'tumor', None)
    """
    word = re.sub(r"[\W_]+", "", folder).casefold().replace("tumour", "tumor")
    return _CANONICAL.get(word) or _CANONICAL.get(re.sub(r"tumors?$", "", word))
