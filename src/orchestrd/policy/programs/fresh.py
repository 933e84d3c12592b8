"""
What was only just written and would now run: the sources of programs and packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import is_known

_SOURCE = re.compile(
    r"""
    \.(?:go|rs|java|kts?|c|cc|cpp|cxx|m|swift|zig|nim|cr|hs|ml|fs|cs|scala|d|v|groovy|gradle|ex|exs|erl
    |dart)$
    """,
    re.VERBOSE,
)


def compiled(inquiry: Inquiry, call: Invocation, paths: Iterable[str] = ()) -> str | None:
    """
    A source that was only just written, and is compiled and run: ``go run``, ``java X.java``, ``tcc -run -``.
    """
    for path in [*paths, *call.argv[1:]]:
        text = ""
        if path == "-":
            text = call.stdin or ""
        elif inquiry.is_fresh(path) and (_SOURCE.search(path) or call.program == "escript"):
            text = inquiry.content(path)
        if text and is_known(text):
            inquiry.code(call, "other", text)
    return None


def cargo_builds(inquiry: Inquiry, call: Invocation) -> None:
    """
    ``cargo build`` runs a ``build.rs`` that was only just written.
    """
    if inquiry.is_fresh("build.rs"):
        inquiry.code(call, "other", inquiry.content("build.rs"))


def project_setup(inquiry: Inquiry, call: Invocation, places: list[str]) -> None:
    """
    A ``setup.py`` that was only just written runs when its package is installed.
    """
    for place in places:
        if place.startswith("."):
            path = f"{place.split('[')[0].rstrip('/')}/setup.py"
            if inquiry.is_fresh(path):
                inquiry.argv(call, ("python", path), stdin=None)


LATER: dict[str, Handler] = {
    **o.each(
        """
        java rustc tcc cling rust-script cargo-script gcc g++ cc clang kotlinc scalac zig nim crystal escript
        runghc swiftc csharp dotnet-script csi
        """,
        compiled,
    ),
}
"""What judges after all that a program runs was followed."""
