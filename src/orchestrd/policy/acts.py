"""
The mark of an act: by it the very same act is known again when a person has allowed it.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from typing import Any

from orchestrd.policy.calls import WRITING
from orchestrd.policy.shell.paths import absolute
from orchestrd.policy.verdict import COMMAND_TOOLS

DELETION = hashlib.sha256(b"files of the project are deleted").hexdigest()[:32]
"""The mark of what no call says: a program that ran deleted files of the project."""
_BY_PATH = {**WRITING, "Read": "file_path", "NotebookRead": "notebook_path"}
"""Tools whose act is the file that they are about, whatever they write there."""


def mark(tool: str, arguments: Mapping[str, Any], tree: str, cwd: str | None, *, followed: str = "") -> str:
    """
    What a call of *tool* with *arguments* by an agent that stands in *cwd* (its *tree* by default) does, as 32 hexadecimal digits;
    *followed* is the digest of the files that it reads (`Verdict.followed`).

    A command line is the same in the same folder only, and as long as the files that it runs or feeds to what it runs are what they
    were, a file the same by whatever path it is named, an address the same whatever is asked of it; of other tools every argument counts.
    """
    here = cwd or tree
    about: Any
    if tool in COMMAND_TOOLS and isinstance(arguments.get("command"), str):
        about = [_from(here, tree), arguments["command"], *([followed] if followed else [])]
    elif tool in _BY_PATH and isinstance(arguments.get(_BY_PATH[tool]), str):
        about = _from(absolute(arguments[_BY_PATH[tool]], here), tree)
    elif tool == "WebFetch" and isinstance(arguments.get("url"), str):
        about = arguments["url"]
    else:
        about = [_from(here, tree), dict(arguments)]
    text = json.dumps([tool, about], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def _from(path: str, tree: str) -> str:
    """
    *path* as seen from *tree*, where it lies in it: another attempt may have its tree elsewhere.
    """
    inside = path == tree or path.startswith(tree.rstrip("/") + "/")
    return "./" + posixpath.relpath(path, tree) if inside else path
