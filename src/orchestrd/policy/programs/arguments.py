"""
What every program's arguments may name: a place outside, a secret, or another program that is guarded.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.naming import DATA, SHOWS_NAMES, VALUED, judge_paths
from orchestrd.policy.programs.searching import judge_search
from orchestrd.policy.programs.strangers import TOLD, UNGUARDED, judge_guarded, judge_stranger
from orchestrd.policy.scope import Place
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import is_known


def judge_arguments(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    The last look at any program: paths, secrets, and guarded programs among its arguments.
    """
    program = call.program
    if not call.elsewhere:
        path = call.argv[0]
        if "/" in path and is_known(path):
            for cwd in call.cwd:
                if (place := inquiry.place(path, cwd)) in {Place.OUTSIDE, Place.OWN}:
                    inquiry.object("outside", call, f"`{path}` is outside of the project", fixed=place is Place.OWN)
                    break
        if (
            program in SHOWS_NAMES
            and program in {"ls", "dir", "tree", "exa", "eza", "du"}
            and not o.plain(call.argv[1:], VALUED.get(program, frozenset()))
        ):
            inquiry.use(".", call, only_looks=True)
        if program not in DATA:
            judge_paths(inquiry, call)
            judge_search(inquiry, call)
    if program not in UNGUARDED and not inquiry.knows(program):
        if "/" not in call.argv[0]:
            judge_guarded(inquiry, call)
        judge_stranger(inquiry, call)
    elif program in TOLD:
        judge_stranger(inquiry, call)
    return None
