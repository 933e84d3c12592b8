"""
Awk: what its programs run, read and write.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.given import given_programs
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, only_holes

_STRING = r"(?<!\\)\"((?:[^\"\\\n]|\\.)*)\""
_LITERAL = re.compile(_STRING)
_SYSTEM = re.compile(rf"system\s*\(\s*{_STRING}\s*(\))?")
_SYSTEM_UNKNOWN = re.compile(r"system\s*\(\s*[^\"\s)]")
_PIPED = re.compile(rf"(?:print|printf)\b([^|;}}\n]{{0,1000}})\|&?\s*{_STRING}")
_READ_FROM = re.compile(rf"{_STRING}\s*\|&?\s*getline")
_PIPED_UNKNOWN = re.compile(r"(?<![|\w\"])\w+\s*\|&?\s*getline|\|\s*&?\s*[A-Za-z_]\w*\s*(?:[;}\n]|$)")
_RUNS_VARIABLE = re.compile(
    r"system\s*\(\s*(\w+)\s*(?=\))|(?<![\w\"$|])(\w+)(?=\s*\|&?\s*getline)|(?<!\|)\|&?\s*([A-Za-z_]\w*)(?=\s*(?:[;}\n]|$))"
)
_ASSIGNED = re.compile(r"\b([A-Za-z_]\w*)\s*(?:[-+*/%^]?=(?!=)|\+\+|--)")
_TELLS = re.compile(r"\b(?:g?sub|split|getline|for)\b([^;}\n]*)")
"""What gives its variables values of its own."""
_ASSIGNED_LITERAL = re.compile(rf"\b([A-Za-z_]\w*)\s*=\s*{_STRING}\s*(?=[;}}\n]|$)")
_WRITTEN = re.compile(rf"(?:print|printf)\b[^>;}}\n]{{0,1000}}>>?\s*{_STRING}")
_READ = re.compile(rf"getline[^<;}}]{{0,1000}}<\s*{_STRING}")


def run_awk(inquiry: Inquiry, call: Invocation, texts: list[str]) -> str:
    """
    Judge awk's program, which is among *texts*, in a file, or its first argument; and the files that it reads.
    """
    argv = call.argv[1:]
    files = o.options(argv, "-f", "--file", "-E")
    words = o.plain(argv, o.words("-F -v -f -i -l -e --file --assign --field-separator --source -W -E"))
    texts, words = given_programs(inquiry, call, texts, files, words)
    for path in words:
        if not re.match(r"[A-Za-z_]\w*=", path):
            inquiry.use(path, call)
    given = dict(one.split("=", 1) for one in o.options(argv, "-v", "--assign") if "=" in one)
    for text in texts:
        if only_holes(text):
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        _awk_program(inquiry, call, _filled_in(text, given))
    for name in re.findall(r"ENVIRON\[\"(\w+)\"\]", " ".join(texts)):
        if is_secret_variable(name):
            inquiry.object("secret", call, "the environment's secrets would be shown")
    if any(re.search(r"\bin\s+ENVIRON\b", text) for text in texts):
        inquiry.object("secret", call, "the environment's secrets would be shown")
    return HOLE


def _awk_program(inquiry: Inquiry, call: Invocation, text: str) -> None:
    for command, closed in _SYSTEM.findall(text):
        inquiry.text(_plain(command) + ("" if closed else " " + HOLE))
    for printed, command in _PIPED.findall(text):
        inquiry.text(_plain(command), stdin=" ".join(_LITERAL.findall(printed)) or HOLE)
    for command in _READ_FROM.findall(text):
        inquiry.text(_plain(command))
    unknown = _PIPED_UNKNOWN.search(_LITERAL.sub('""', text)) and "||" not in text
    if unknown or _SYSTEM_UNKNOWN.search(text):
        inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
    for path in _WRITTEN.findall(text):
        inquiry.use(path, call, writes=True)
    for path in _READ.findall(text):
        inquiry.use(path, call)


def _filled_in(text: str, given: dict[str, str]) -> str:
    """
    *text* with variables that hold one command, *given* or assigned once, as literals where that command is run.
    """
    if not _RUNS_VARIABLE.search(text):
        return text
    known = {name: said for name, said in given.items() if '"' not in said and "\\" not in said}
    assigned = _ASSIGNED.findall(text)
    for told in _TELLS.findall(text):
        assigned += 2 * re.findall(r"\w+", told)
    known |= dict(_ASSIGNED_LITERAL.findall(text))
    known = {name: said for name, said in known.items() if assigned.count(name) <= (name not in given)}

    def literal(match: re.Match[str]) -> str:
        said = known.get(match.group(1) or match.group(2) or match.group(3))
        return match.group() if said is None else match.group().replace(match.group(match.lastindex or 0), f'"{said}"')

    return _RUNS_VARIABLE.sub(literal, text)


def _plain(literal: str) -> str:
    return literal.replace('\\"', '"')
