"""
What the variable of a loop or the parameter of a function may stand for in JavaScript, where only literals are given to it.
"""

from __future__ import annotations

import re

from orchestrd.policy.code.literals import Source, content, literals

_MOST = 60
"""So many calls of a function are looked at."""
_LITERALS = r"\[((?:\s*(?:'[^'\\\n]*'|\"[^\"\\\n]*\"|`[^`\\$]*`)\s*,?){1,60})\s*\]"
_ALONE = re.compile(r"\s*\(\s*(['\"`])")


def stands_for(source: Source, name: str) -> list[str] | None:
    """
    Everything that *name* may be in the program *source*; None where that is not known.
    """
    text, escaped = source.text, re.escape(name)
    bound = rf"""
        \b(?:const|let|var)\s+{escaped}\b|\bfunction\b[^()]{{0,40}}\((?:[^()]{{0,60}},)?\s*{escaped}\b
        |\b{escaped}\b[^()=;\n]{{0,40}}\)?\s*=>
    """
    assigned = rf"\b{escaped}\s*(?:[-+*/|&?]*=(?![=>])|\]\s*=)"
    if len(re.findall(bound, text, re.VERBOSE)) != 1 or re.search(assigned, text):
        return None
    loop = re.search(
        rf"for\s*\(\s*(?:const|let|var)\s+{escaped}\s+of\s+{_LITERALS}"
        rf"|{_LITERALS}\s*\.\s*(?:forEach|map|some|every)\(\s*(?:async\s*)?\(?\s*{escaped}\b",
        text,
    )
    if loop is not None:
        return [content(one) for one in literals(loop.group(1) or loop.group(2))]
    function = re.search(
        rf"\bfunction\s+(\w+)\s*\(\s*{escaped}\b|\b(\w+)\s*=\s*(?:async\s*)?(?:function\s*\(\s*{escaped}\b|\(?\s*{escaped}\b[^=;\n]{{0,40}}=>)",
        text,
    )
    if function is None:
        return None
    called = function.group(1) or function.group(2)
    found: list[str] = []
    for match in list(re.finditer(rf"(?<![\w$.]){re.escape(called)}\b(?!\s*=[^=])", text))[: _MOST + 1]:
        if match.start() == function.start(1) or source.in_literal(match.start()):
            continue
        if _ALONE.match(text, match.end()) is None or len(found) >= _MOST:
            return None
        given = re.match(r"\(\s*(?:'[^'\\\n]*'|\"[^\"\\\n]*\"|`[^`\\$]*`)\s*[,)]", source.arguments(match.end()))
        if given is None:
            return None
        found.append(next(content(one) for one in literals(given.group())))
    return found or None
