"""
One entry of a task's lists of deliverables and checks.

The rules of `taskfields` hold: None after saying what is wrong.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.model import Check, Deliverable
from orchestrd.domain.taskfile import fields as read
from orchestrd.domain.taskfile import measures as measure
from orchestrd.domain.taskfile.deliverables import read_deliverables
from orchestrd.domain.taskfile.keys import CHECK_FIELDS, given, known_fields
from orchestrd.domain.taskfile.paths import INVISIBLE, BadPath
from orchestrd.domain.taskfile.problems import Spot
from orchestrd.domain.taskfile.yamltext import shown
from orchestrd.domain.taskfile.yamltree import Mapping, Node, Scalar

MAX_PROMISED = 256 * 1024


class Promises:
    """
    Reads the deliverables of a file, `MAX_PROMISED` characters of them at most: reading sentences takes time.
    """

    def __init__(self) -> None:
        self._read = 0

    def __call__(self, node: Node, spot: Spot) -> tuple[Deliverable, ...] | None:
        """
        The deliverables of one entry.
        """
        text = _sentence(node, spot)
        if text is None:
            return None
        before, self._read = self._read, self._read + len(text)
        if self._read > MAX_PROMISED:
            if before <= MAX_PROMISED:
                spot.say(node, f"the deliverables of all tasks have more than {MAX_PROMISED} characters")
            return None
        try:
            return read_deliverables(text)
        except BadPath as error:
            spot.say(node, f"{shown(text)}: {error}")
            return None


def _sentence(node: Node, spot: Spot) -> str | None:
    """
    The text of an entry.  An unquoted ``Updated docs/X.md: add section`` is a mapping to YAML, and text here.
    """
    if isinstance(node, Mapping) and len(node.pairs) == 1 and isinstance(node.pairs[0][1], Scalar):
        key, value = node.pairs[0][0].text, node.pairs[0][1]
        text: str | None = key if value.null else f"{key}: {value.text}"
    else:
        text = read.literal(node, spot, read.MAX_LINE)
    if text is None:
        return None
    if read.is_blank(node) or not text.strip():
        spot.say(node, "is empty; expected a path or a sentence")
    elif len(text) > read.MAX_LINE:
        spot.say(node, f"has {len(text)} characters; at most {read.MAX_LINE} are allowed")
    elif INVISIBLE.search(text.replace("\n", " ").replace("\t", " ")):
        spot.say(node, "holds invisible characters; write plain text")
    else:
        return text
    return None


def check(node: Node, spot: Spot) -> Check | None:
    """
    A command, or a mapping of ``run`` and, if wanted, ``name`` and ``timeout``.
    """
    if isinstance(node, Scalar):
        run = read.block(node, spot, read.MAX_COMMAND)
        return Check(name=_title(run), run=run) if run else None
    if not isinstance(node, Mapping):
        spot.say(node, "expected a command, or a mapping with run, name and timeout; found a list")
        return None
    fields = known_fields(node, CHECK_FIELDS, (), "", spot)
    if "run" not in fields:
        spot.within("run").say(node, "required field is missing; put a command that holds ': ' in quotes")
        return None
    run = read.block(fields["run"], spot.within("run"), read.MAX_COMMAND)
    named, limit = given(fields, "name"), given(fields, "timeout")
    name = read.line(named, spot.within("name")) if named is not None else None
    timeout = measure.duration(limit, spot.within("timeout")) if limit is not None else None
    if run is None:
        return None
    one = Check(name=name or _title(run), run=run)
    return one if timeout is None else msgspec.structs.replace(one, timeout=timeout)


def _title(run: str) -> str:
    """
    The name of a check that has none: its first line.
    """
    lines = run.strip().splitlines() or [""]
    return lines[0] if len(lines) == 1 else f"{lines[0]} …"
