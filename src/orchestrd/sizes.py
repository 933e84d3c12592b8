"""
Sizes in bytes, as people write and read them.
"""

from __future__ import annotations

import math
import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmgt]i?b|b|)")
_LETTERS = "kmgt"


def size(text: str | float) -> int:
    """
    A size as bytes: ``4096``, ``"512MB"``, ``"1.5GB"`` (powers of 1000), ``"512MiB"`` (powers of 1024).

    Raises `ValueError` for anything else; a bare ``1G`` means 1000s to some and 1024s to others, and is refused.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool) and 0 <= text < math.inf:
        return int(text)
    found = _SIZE.fullmatch(str(text).replace(" ", "").lower())
    if isinstance(text, (int, float)) or found is None:
        raise ValueError(f"{text!r} is not a size; write bytes, or 512MB, 1.5GB, 512MiB")
    number, unit = found.groups()
    power = _LETTERS.index(unit[0]) + 1 if unit[:1] in tuple(_LETTERS) else 0
    return int(float(number) * (1024 if "i" in unit else 1000) ** power)


def size_text(number: int) -> str:
    """
    Bytes as ``512 MB`` or ``1.4 GB``, rounded down, so that what falls short never reads as if it sufficed.
    """
    scale, unit = 1, "B"
    for letter in _LETTERS:
        if number < scale * 1000:
            break
        scale, unit = scale * 1000, f"{letter if letter == 'k' else letter.upper()}B"
    whole, tenths = divmod(max(0, number) * 10 // scale, 10)
    return f"{whole}.{tenths} {unit}" if tenths and whole < 100 else f"{whole} {unit}"
