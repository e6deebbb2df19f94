"""What can be wrong with a patch, before any object is looked at or while it is applied.

PatchError
├── BadPatch        the document is not a patch of this format (400)
├── TooLong         a JSON patch of more operations than one may have (413)
├── CannotApply     a JSON patch whose operations do not fit the object (422, no text)
└── PatchFailure    a strategic patch that contradicts itself (500 with the original's text)
"""

from __future__ import annotations


class PatchError(ValueError):
    pass


class BadPatch(PatchError):
    pass


class TooLong(PatchError):
    pass


class CannotApply(PatchError):
    pass


class PatchFailure(PatchError):
    pass
