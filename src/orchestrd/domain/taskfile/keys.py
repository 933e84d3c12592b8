"""
The names of the fields of a task file, and what to say about any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrd.domain.taskfile.fields import is_blank
from orchestrd.domain.taskfile.problems import Spot
from orchestrd.domain.taskfile.yamltree import Mapping, Node

FILE_FIELDS = ("date", "max_cost_usd", "priority", "tasks")
TASK_FIELDS = (
    "id",
    "name",
    "description",
    "module",
    "estimated_complexity",
    "context_files",
    "deliverables",
    "priority",
    "depends_on",
    "max_cost_usd",
    "timeout",
    "model",
    "agent",
    "checks",
    "isolation",
    "retries",
    "start_at",
)
CHECK_FIELDS = ("name", "run", "timeout")
_MEANT = {
    "budget": "max_cost_usd",
    "cmd": "run",
    "command": "run",
    "complexity": "estimated_complexity",
    "context": "context_files",
    "cost": "max_cost_usd",
    "day": "date",
    "dependencies": "depends_on",
    "deps": "depends_on",
    "files": "context_files",
    "max_cost": "max_cost_usd",
    "needs": "depends_on",
    "outputs": "deliverables",
    "prompt": "description",
    "title": "name",
    "verify": "checks",
}
"""What other tools call our fields."""


def known_fields(
    node: Mapping, known: Sequence[str], elsewhere: Sequence[str], where: str, spot: Spot
) -> dict[str, Node]:
    """
    The *known* fields of *node*; the others are problems.  Names of *elsewhere* belong to *where*.
    """
    fields: dict[str, Node] = {}
    for key, value in node.pairs:
        name = key.text
        if name in known:
            fields[name] = value
            continue
        if name in elsewhere:
            hint = f" here; it belongs to {where}"
        elif _MEANT.get(name.casefold(), "") in known:
            hint = f"; did you mean {_MEANT[name.casefold()]!r}?"
        else:
            hint = spot.nearest(name, known) or f"; expected one of {', '.join(known)}"
        spot.within(name).say(key, f"unknown field{hint}")
    return fields


def given(fields: dict[str, Node], name: str) -> Node | None:
    """
    The value of a field, unless it is left empty: that is the same as leaving it out.
    """
    node = fields.get(name)
    return None if node is None or is_blank(node) else node
