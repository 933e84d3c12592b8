"""
Tcl and Expect: ``exec``, ``spawn``, ``open |…``, ``file delete``.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, only_holes


def run_tcl(inquiry: Inquiry, call: Invocation, texts: list[str], position: int) -> str:
    """
    Tcl and Expect: ``exec``, ``spawn``, ``open |…``, ``file delete``.
    """
    if not texts and position < len(call.argv) and call.argv[position] != "-":
        path = call.argv[position]
        inquiry.use(path, call)
        content = inquiry.content(path)
        texts = [content] if is_known(content) else []
    elif not texts and call.stdin is not None:
        texts = [call.stdin]
    for text in texts:
        if only_holes(text):
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
            continue
        for match in re.finditer(
            r"(?:^|[;\n\[{])[^\S\n]*(?:exec|spawn|system|open\s+\"?\|)\s+(?:-\w+\s+)*([^;\n\]}]+)", text
        ):
            inquiry.text(match.group(1).replace("{", "'").replace("}", "'").strip().rstrip('"'))
        for match in re.finditer(r"\bfile\s+(delete|rename|copy)\s+([^;\n\]]+)", text):
            words = [word for word in match.group(2).split() if not word.startswith("-")]
            inquiry.argv(call, ({"delete": "rm", "rename": "mv", "copy": "cp"}[match.group(1)], *words), stdin=None)
        for name in re.findall(r"\benv\((\w+)\)", text):
            if is_secret_variable(name):
                inquiry.object("secret", call, "the environment's secrets would be shown")
        for match in re.finditer(r"\bopen\s+([^\s|\]]+)(?:\s+(\w+\+?))?", text):
            inquiry.use(match.group(1).strip('"{}'), call, writes=bool(match.group(2)) and match.group(2) != "r")
    return HOLE
