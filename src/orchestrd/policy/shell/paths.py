"""
Paths as a shell reads them, without looking at any.
"""

from __future__ import annotations

import posixpath


def absolute(path: str, cwd: str) -> str:
    """
    *path*, seen from *cwd*, without ``.`` and ``..``.
    """
    if path.startswith("/") and "/." not in path and "//" not in path and not path.endswith("/"):
        return path
    full = posixpath.normpath(posixpath.join(cwd, path))
    return full[1:] if full.startswith("//") else full
