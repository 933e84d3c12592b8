"""
What programs in JavaScript take from files beside them, when it matters what those say.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestrd.policy.scope import Place
from orchestrd.policy.shell.paths import absolute

if TYPE_CHECKING:
    from orchestrd.policy.ground import Ground

_SCRIPTS = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")
_ENDS = ("", *_SCRIPTS, ".json", "/index.js", "/index.mjs", "/index.cjs", "/index.ts")
"""What is added to a name to find the file (Node.js 22, *Modules: CommonJS*, *All together*)."""
_REFERENCE = re.compile(
    r"""(?:\brequire\s*\(|\bimport\s*\(|\bfrom\s|\bimport\s)\s*["'`](\.{1,2}/[^"'`\n]{1,300})["'`]"""
)
_MOST = 100
"""So many files are looked at."""


def required(ground: Ground) -> Iterator[tuple[str, str]]:
    """
    The files that those which *ground* has read require or import by their place, and so on: each with its text, or its state.
    """
    tree = ground.scope.tree.rstrip("/") + "/"
    seen = {absolute(path, tree) for path in ground.read}
    waiting = [(absolute(path, tree), text) for path, text in ground.read.items()]
    for path, text in waiting:
        if not path.endswith(_SCRIPTS):
            continue
        for reference in _REFERENCE.findall(text):
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), reference))
            for full in (place + end for end in _ENDS):
                if (
                    full in seen
                    or len(seen) >= _MOST
                    or ground.scope.place(full, tree) not in {Place.TREE, Place.SCRATCH}
                ):
                    continue
                found = ground.disk.read(full)
                known = ground.disk.state(full) if found is None else found
                if known or found is not None:
                    seen.add(full)
                    waiting.append((full, found or ""))
                    yield full.removeprefix(tree), known
