"""
Task ids: names of files and folders, so what two tasks of a day write must never meet.

A task ``X`` writes its questions to ``X.md``, ``X-2.md``, ``X-3.md`` … and is answered in ``X-answer.md``,
``X-2-answer.md`` …, all in one folder a day.  Therefore

- an id never ends in ``-answer``, whether or not there is a task for it to be the answer of: one may come later;
- ``X`` and ``X-2`` to ``X-999`` cannot both be ids of a day.  ``task`` and ``task-1`` can (questions count from 2, and
  the first has no number), and so can ``task-1``, ``task-2`` and ``task-001`` (a leading zero is no question's number);
- ids differ by more than the case of letters, for file systems that fold it;
- ``..`` is refused anywhere, so no id can be part of a way out of a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestrd.domain.taskfile.fields import literal
from orchestrd.domain.taskfile.problems import Spot
from orchestrd.domain.taskfile.yamltext import shown
from orchestrd.domain.taskfile.yamltree import Node, Scalar

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ANSWER = re.compile(r"(.*)-answer", re.IGNORECASE)
_NUMBERED = re.compile(r"(.+)-([2-9]|[1-9][0-9]{1,2})")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


def task_id(node: Node, spot: Spot) -> str | None:
    """
    A well-formed id, or None after saying why it is not one.
    """
    text = literal(node, spot)
    if text is None:
        return None
    if not text or (isinstance(node, Scalar) and node.null):
        spot.say(node, "is empty; expected an id such as task-001")
        return None
    if not ID.fullmatch(text) or ".." in text:
        plain = _FOREIGN.sub("-", text).strip("-_")[:64]
        hint = f"; did you mean {plain!r}?" if ID.fullmatch(plain) else ""
        rule = "expected letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 64"
        spot.say(node, f"{rule}, without '..'; found {shown(text)}{hint}")
        return None
    if found := _ANSWER.fullmatch(text):
        rule = "an id may not end in '-answer': that names the file with the answer to a question"
        spot.say(node, f"{rule}; did you mean {found[1] + '-reply'!r}?")
        return None
    return text


def check_ids(ids: Sequence[tuple[str, Node, Spot]]) -> None:
    """
    Say where two ids of a file are the same, or would share a file; *ids* in the order of the file.
    """
    seen: dict[str, tuple[str, Node]] = {}
    for name, node, spot in ids:
        if name.casefold() not in seen:
            seen[name.casefold()] = (name, node)
            continue
        first, place = seen[name.casefold()]
        if first == name:
            spot.say(node, f"{name!r} is already the id of the task on line {place.line}")
        else:
            spot.say(node, f"{name!r} differs only by case from {first!r} on line {place.line}: they would share files")
    for name, node, spot in ids:
        numbered = _NUMBERED.fullmatch(name)
        if numbered is None or numbered[1].casefold() not in seen:
            continue
        base, place = seen[numbered[1].casefold()]
        spot.say(
            node,
            f"{name!r} and {base!r} on line {place.line} would share files: question {numbered[2]} of {base!r} is "
            f"written to '{base}-{numbered[2]}.md'; rename one, to '{base}-0{numbered[2]}' for instance",
        )


def meeting(new: Sequence[str], known: Sequence[str]) -> tuple[str, str] | None:
    """
    The first of the *new* ids, which are no trouble to each other, that would share files with a *known* one, and that one.
    """
    folded = {name.casefold(): name for name in known}
    bases = {found[1].casefold(): name for name in known if (found := _NUMBERED.fullmatch(name))}
    for name in new:
        found = _NUMBERED.fullmatch(name)
        other = (
            folded.get(name.casefold())
            or bases.get(name.casefold())
            or (folded.get(found[1].casefold()) if found else None)
        )
        if other is not None:
            return name, other
    return None
