"""
``make``: the recipes of its targets, where the makefile can be read.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.own import follow, judge_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.nodes import Unreadable

_MAKES = o.words("make gmake bmake nmake remake mingw32-make colormake")


_MAX_TARGETS = 40


def make(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``make``: its targets' recipes, where the makefile can be read.
    """
    argv = call.argv[1:]
    valued = o.words("""
        -C --directory -f --file --makefile -j -I -o -W -l --eval --old-file --new-file --include-dir
        --load-average
    """)
    folder = o.option(argv, "-C", "--directory")
    if folder is not None:
        inquiry.use(folder, call, only_looks=True)
    for text in o.options(argv, "--eval", "-E"):
        follow_recipes(inquiry, call, text.replace(";", "\n\t", 1) if "\n" not in text else text, None, ours=False)
    targets = [word for word in o.plain(argv, valued) if "=" not in word]
    file = o.option(argv, "-f", "--file", "--makefile")
    if set(argv) & o.words("-n --dry-run --just-print --recon -q --question -v --version -h --help -p") and not (
        file == "-"
    ):
        return HOLE
    for word in argv:
        name, sign, value = word.partition("=")
        if sign and name.lower() in {"destdir", "prefix", "bindir", "libdir"}:
            inquiry.use(value, call, writes=True)
        if sign and name in {"SHELL", ".SHELLFLAGS"}:
            inquiry.object("exec-unknown", call, "make would run its recipes with another program")
        elif sign and re.search(r"[;|&`]|\$\(", value):
            for part in (value, re.sub(r"^[^;|&]*[;|&]+", "", value)):
                try:
                    inquiry.text(part)
                except Unreadable:
                    continue
    if file is not None and not is_known(file):
        inquiry.object("exec-unknown", call, "which makefile it would run is only known when it runs")
        return HOLE
    if file == "-" or file == "/dev/stdin":
        text = call.stdin or ""
        if not is_known(text):
            inquiry.object("exec-unknown", call, "make would run what another program prints")
            return HOLE
        follow_recipes(inquiry, call, text, targets, ours=False)
        return HOLE
    for target in targets:
        judge_target(inquiry, call, target)
    names = [file] if file else ["GNUmakefile", "makefile", "Makefile"]
    if file:
        inquiry.use(file, call)
    for name in names:
        path = f"{folder}/{name}" if folder else name
        text = inquiry.content(path)
        if is_known(text):
            follow_recipes(inquiry, call, text, targets, ours=not inquiry.is_new(path))
            break
        if inquiry.is_new(path):
            inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
            break
    return HOLE


def follow_recipes(inquiry: Inquiry, call: Invocation, text: str, targets: list[str] | None, *, ours: bool) -> None:
    """
    Follow the recipes of *targets* and of what they need; of None or no target, those of the first, or of all.
    """
    rules: dict[str, tuple[list[str], list[str]]] = {}
    variables: dict[str, str] = {}
    current: list[str] = []
    order: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            for name in current:
                rules[name][1].append(line[1:])
        elif match := re.match(r"(?:export\s+|override\s+)?([\w.-]+)\s*(?:::?:?|\?|\+|!)?=\s*(.*)", line):
            variables[match.group(1)] = match.group(2).strip()
            if "$(shell" in match.group(2):
                for inner in re.findall(r"\$\(shell\s+([^()]*(?:\([^()]*\)[^()]*)*)\)", match.group(2)):
                    follow(inquiry, inner, ours=ours)
            current = []
        elif match := re.match(r"([^\s:#=][^:#=]*?)\s*::?(?!=)\s*([^;#]*)(?:;\s*(.*))?", line):
            current = match.group(1).split()
            for name in current:
                needs, lines = rules.setdefault(name, ([], []))
                needs += [one for one in match.group(2).split() if one != "|"]
                if match.group(3):
                    lines.append(match.group(3))
                if not name.startswith("."):
                    order.append(name)
        elif line.strip():
            current = []
    wanted = targets or order[:1]
    seen: set[str] = set()
    queue = list(wanted)
    while queue and len(seen) < _MAX_TARGETS:
        name = queue.pop(0)
        if name in seen or name not in rules:
            continue
        seen.add(name)
        needs, lines = rules[name]
        queue += needs
        script = "\n".join(_expanded(line, variables, name, needs).lstrip("@-+ ") for line in lines)
        if script.strip():
            follow(inquiry, script, ours=ours)


def _expanded(line: str, variables: dict[str, str], target: str, needs: list[str]) -> str:
    automatic = {"@": target, "<": needs[0] if needs else "", "^": " ".join(needs), "*": target}
    for _ in range(4):
        before = line
        line = re.sub(
            r"\$[({]([\w.-]+)[)}]",
            lambda match: variables.get(
                match.group(1),
                automatic.get(
                    match.group(1),
                    {"MAKE": "make", "RM": "rm -f", "CURDIR": ".", "PYTHON": "python", "CC": "cc", "SHELL": "sh"}.get(
                        match.group(1), "$" + match.group(1)
                    ),
                ),
            ),
            line,
        )
        if line == before:
            break
    line = re.sub(r"\$([@<^*?+])", lambda match: automatic.get(match.group(1), ""), line)
    line = re.sub(r"\$\((?:shell\s+)([^()]*)\)", r"$$(\1)", line)
    return line.replace("$$", "$")


HANDLERS: dict[str, Handler] = dict.fromkeys(_MAKES, make)
