"""
What waits for what in a task file: every ``depends_on`` names another task of the file, and no task waits for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from orchestrd.domain.taskfile.problems import Spot
from orchestrd.domain.taskfile.yamltext import shown
from orchestrd.domain.taskfile.yamltree import Node

_MAX_CYCLES = 50
_MAX_NAMED = 12


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """
    Task *task* waits for task *on*, as the file says at *node*.
    """

    task: str
    on: str
    node: Node
    spot: Spot


def check_waits(ids: Sequence[str], waits: Sequence[Wait]) -> None:
    """
    Say which *waits* name no task of *ids* (in the order of the file), a task itself, or go round in a circle.
    """
    graph: dict[str, dict[str, Wait]] = {name: {} for name in ids}
    for wait in waits:
        if wait.on == wait.task:
            wait.spot.say(wait.node, f"{shown(wait.on)} depends on itself")
        elif wait.on in graph:
            graph.setdefault(wait.task, {}).setdefault(wait.on, wait)
        else:
            # `2026-11-22/task-001` is a task's name everywhere else.
            short = wait.on.rpartition("/")[2]
            hint = f"; did you mean {short!r}?" if short in graph else wait.spot.nearest(wait.on, graph)
            wait.spot.say(wait.node, f"expected the id of a task in this file, found {shown(wait.on)}{hint}")
    order = {name: index for index, name in enumerate(graph)}
    for circle in islice(_circles(graph), _MAX_CYCLES):
        start = min(range(len(circle)), key=lambda index: order[circle[index]])
        turned = (*circle[start:], *circle[:start])
        wait = graph[turned[0]][turned[1]]
        wait.spot.say(wait.node, f"circular: {_arrows(turned)}; remove one of these")


def _circles(graph: dict[str, dict[str, Wait]]) -> Iterator[tuple[str, ...]]:
    """
    A circle for each edge that closes one in a depth-first walk; a graph without any yields none.
    """
    done: set[str] = set()
    for root, waits in graph.items():
        trail: dict[str, Iterator[str]] = {} if root in done else {root: iter(waits)}
        while trail:
            here = next(reversed(trail))
            following = next(trail[here], None)
            if following is None:
                done.add(here)
                del trail[here]
            elif following in trail:
                names = list(trail)
                yield tuple(names[names.index(following) :])
            elif following not in done:
                trail[following] = iter(graph[following])


def _arrows(circle: tuple[str, ...]) -> str:
    named = list(circle[:_MAX_NAMED])
    if len(circle) > _MAX_NAMED:
        named.append(f"… ({len(circle) - _MAX_NAMED} more)")
    return " → ".join([*named, circle[0]])
