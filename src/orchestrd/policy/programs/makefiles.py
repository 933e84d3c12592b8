"""
``make``: the recipes of its targets, where the makefile can be read.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.inquiry import MAX_SCRIPT, Handler, Inquiry
from orchestrd.policy.origin import Origin
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.own import follow, judge_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.nodes import Unreadable

_MAKES = o.words("make gmake bmake nmake remake mingw32-make colormake")
_VALUED = o.words("""
    -C --directory -f --file --makefile -j -I -o -W -l --eval --old-file --new-file --include-dir --load-average
""")
_ONLY_TELLS = o.words("-n --dry-run --just-print --recon -q --question -v --version -h --help -p")
_FOLDERS = frozenset({"destdir", "prefix", "bindir", "libdir"})
"""Variables that say where something is installed."""
_RUNS = re.compile(r"[;|&`]|\$\(")
_FIRST_COMMAND = re.compile(r"^[^;|&]*[;|&]+")
_VARIABLE = re.compile(r"(?:export\s+|override\s+)?([\w.-]+)\s*(?:::?:?|\?|\+|!)?=\s*(.*)")
_SHELL = re.compile(r"\$\(shell\s+([^()]*(?:\([^()]*\)[^()]*)*)\)")
_RULE = re.compile(r"([^\s:#=][^:#=]*?)\s*::?(?!=)\s*([^;#]*)(?:;\s*(.*))?")
_REFERENCE = re.compile(r"\$[({]([\w.-]+)[)}]")
_AUTOMATIC = re.compile(r"\$([@<^*?+])")
_PREDEFINED = {"MAKE": "make", "RM": "rm -f", "CURDIR": ".", "PYTHON": "python", "CC": "cc", "SHELL": "sh"}
_MAX_TARGETS = 40
_SIGNS = 500
"""So many characters of a makefile are read in a step."""
_ROUNDS = 4
"""So deep variables stand in each other."""


class _Rule(NamedTuple):
    needs: list[str]
    lines: list[str]


def make(inquiry: Inquiry, call: Invocation) -> str:
    """
    Judge what ``make`` is told, and follow its targets' recipes.
    """
    argv = call.argv[1:]
    folder = o.option(argv, "-C", "--directory")
    if folder is not None:
        inquiry.use(folder, call, only_looks=True)
    for text in o.options(argv, "--eval", "-E"):
        follow_recipes(inquiry, text.replace(";", "\n\t", 1) if "\n" not in text else text, [], Origin.LINE)
    targets = [word for word in o.plain(argv, _VALUED) if "=" not in word]
    if any(re.fullmatch(r"-[a-zA-Z]{0,3}p[a-zA-Z]{0,3}|--print-data-base", word) for word in argv):
        inquiry.object("secret", call, "the whole environment would be shown")
    file = o.option(argv, "-f", "--file", "--makefile")
    if file != "-" and not _ONLY_TELLS.isdisjoint(argv):
        return HOLE
    _judge_variables(inquiry, call)
    if file is not None and not is_known(file):
        inquiry.object("exec-unknown", call, "which makefile it would run is only known when it runs")
    elif file in {"-", "/dev/stdin"}:
        text = call.stdin or ""
        if is_known(text):
            follow_recipes(inquiry, text, targets, Origin.LINE)
        else:
            inquiry.object("exec-unknown", call, "make would run what another program prints")
    else:
        for target in targets:
            judge_target(inquiry, call, target)
        if file:
            inquiry.use(file, call)
        names = [file] if file else ["GNUmakefile", "makefile", "Makefile"]
        _follow_first(inquiry, call, [f"{folder}/{name}" if folder else name for name in names], targets)
    return HOLE


def _judge_variables(inquiry: Inquiry, call: Invocation) -> None:
    """
    Variables that are set on the command line, and then stand in recipes.
    """
    for word in (*call.argv[1:], *map("=".join, call.environment.items())):
        name, sign, value = word.partition("=")
        if not sign:
            continue
        if name.lower() in _FOLDERS:
            inquiry.use(value, call, writes=True)
        if name in {"SHELL", ".SHELLFLAGS"}:
            inquiry.object("exec-unknown", call, "make would run its recipes with another program")
        elif _RUNS.search(value) or (" " in value and inquiry.knows(value.split(None, 1)[0].rsplit("/", 1)[-1])):
            for part in (value, _FIRST_COMMAND.sub("", value)):
                try:
                    inquiry.text(part)
                except Unreadable:
                    continue  # it may be half of a command


def _follow_first(inquiry: Inquiry, call: Invocation, paths: list[str], targets: list[str]) -> None:
    """
    Follow the first makefile of *paths* that there is.
    """
    for path in paths:
        text = inquiry.content(path)
        if is_known(text):
            follow_recipes(inquiry, text, targets, inquiry.origin(path))
            return
        if inquiry.is_new(path):
            inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
            return


def follow_recipes(inquiry: Inquiry, text: str, targets: list[str], author: Origin) -> None:
    """
    Follow the recipes of *targets* and of what they need, as the *author*'s makefile *text* has them; of no target, the first's.
    """
    inquiry.spend(len(text) / _SIGNS)
    rules: dict[str, _Rule] = {}
    variables: dict[str, str] = {}
    first: list[str] = []
    current: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            for name in current:
                rules[name].lines.append(line[1:])
        elif match := _VARIABLE.match(line):
            variables[match.group(1)] = match.group(2).strip()
            for inner in _SHELL.findall(line):
                follow(inquiry, inner, author)
            current = []
        elif match := _RULE.match(line):
            current = match.group(1).split()
            for name in current:
                rule = rules.setdefault(name, _Rule([], []))
                rule.needs.extend(one for one in match.group(2).split() if one != "|")
                if match.group(3):
                    rule.lines.append(match.group(3))
            first = first or [name for name in current if not name.startswith(".")][:1]
        elif line.strip():
            current = []
    seen: set[str] = set()
    queue = list(targets or first)
    while queue and len(seen) < _MAX_TARGETS:
        name = queue.pop(0)
        if name in seen or name not in rules:
            continue
        seen.add(name)
        queue += rules[name].needs
        lines = rules[name].lines
        with inquiry.following(author, "\n".join(lines)):
            inquiry.text("\n".join(_expanded(line, variables, name, rules[name].needs) for line in lines))


def _expanded(line: str, variables: dict[str, str], target: str, needs: list[str]) -> str:
    """
    A recipe's *line* as the shell gets it.
    """
    automatic = {"@": target, "<": needs[0] if needs else "", "^": " ".join(needs), "*": target}
    known = {**_PREDEFINED, **automatic, **variables}
    for _ in range(_ROUNDS):
        names = _REFERENCE.findall(line)
        if not names:
            break
        if len(line) + sum(len(known.get(name, name)) for name in names) > MAX_SCRIPT:
            raise Unreadable("variables that stand in each other too often")
        line = _REFERENCE.sub(lambda match: known.get(match.group(1), "$" + match.group(1)), line)
    line = _AUTOMATIC.sub(lambda match: automatic.get(match.group(1), ""), line)
    line = re.sub(r"\$\((?:shell\s+)([^()]*)\)", r"$$(\1)", line)
    return line.replace("$$", "$").lstrip("@-+ ")


HANDLERS: dict[str, Handler] = dict.fromkeys(_MAKES, make)
