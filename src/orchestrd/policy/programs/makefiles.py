"""
``make``: the recipes of its targets, where the makefile can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from orchestrd.policy.inquiry import MAX_SCRIPT, Handler, Inquiry
from orchestrd.policy.origin import Origin
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.own import judge_target
from orchestrd.policy.secrecy import is_secret
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
_TELLS_MAKE = re.compile(r"eval|file|(?:^|\s)-?\w*[fCIE]|=|\.mk|\$")
_FIRST_COMMAND = re.compile(r"^[^;|&]*[;|&]+")
_VARIABLE = re.compile(r" *(?:export\s+|override\s+)*([\w.-]+)\s*((?:::?:?|\?|\+|!)?=)\s*(.*)")
_SHELL = re.compile(r"\$([({])\s*shell\s")
_PARENTHESES = {"(": re.compile(r"[()]"), "{": re.compile(r"[{}]")}
_DEFINE = re.compile(r" *(?:export\s+|override\s+)*define\s+([\w.-]+)")
_INCLUDE = re.compile(r" *(?:-|s)?include\s+(.*)")
_MAKES_RULES = re.compile(r"\$[({]\s*(?:eval|guile)\s|^ *-?load\s")
"""What the text of a makefile does not show: texts that are put together, and other languages."""
_A_SHELL = re.compile(
    r"(?:\S*/)?(?:env\s+)?(?:ba|da|z|k)?sh|\$\(shell (?:which|command -v) (?:ba|z)?sh\)|-[a-z]+(?:\s+(?:-[a-z]+|pipefail))*"
)
_RULE = re.compile(r"([^\s:#=][^:#=]*?)\s*::?(?!=)\s*([^;#]*)(?:;\s*(.*))?")
_REFERENCE = re.compile(r"\$[({]([\w.-]+)[)}]")
_AUTOMATIC = re.compile(r"\$([@<^*?+])")
_PREDEFINED = {"MAKE": "make", "RM": "rm -f", "CURDIR": ".", "PYTHON": "python", "CC": "cc", "SHELL": "sh"}
_MAX_TARGETS = 40
_SIGNS = 500
_LINES = 30
"""So many characters, or lines, of a makefile are read in a step."""
_ROUNDS = 4
"""So deep variables stand in each other."""


class _Rule(NamedTuple):
    needs: list[str]
    lines: list[str]
    author: Origin


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
        for inner in shell_calls(value):
            inquiry.spend(len(value) / _SIGNS)
            inquiry.text(inner)
        if name in {"MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES"} and _TELLS_MAKE.search(value):
            inquiry.object("exec-unknown", call, "make would be told something by a variable")
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
    Follow what make runs while it reads the *author*'s makefile *text*, and the recipes of *targets* and of what they need; of no
    target, the first's.
    """
    read = _Makefile(inquiry)
    read.read(text, author)
    seen: set[str] = set()
    queue = list(targets or read.first)
    while queue and len(seen) < _MAX_TARGETS:
        name = queue.pop(0)
        found = read.rule(name)
        if name in seen or found is None:
            continue
        seen.add(name)
        queue += found.needs
        with inquiry.following(found.author, "\n".join(found.lines)):
            expanded = [read.expanded(line, name, found.needs) for line in found.lines]
            inquiry.text("\n".join(line.lstrip("@-+ ") for one in expanded for line in one.split("\n")))


class _Makefile:
    """
    The rules and variables of a makefile and of what it includes.
    """

    def __init__(self, inquiry: Inquiry) -> None:
        self.first: list[str] = []
        self._inquiry = inquiry
        self._rules: dict[str, _Rule] = {}
        self._variables: dict[str, str] = {}
        self._prefix = "\t"
        self._depth = 0

    def rule(self, name: str) -> _Rule | None:
        """
        The rule by which the target *name* is made.
        """
        if name in self._rules:
            return self._rules[name]
        patterns = (one for one in self._rules if "%" in one and re.fullmatch(re.escape(one).replace("%", ".+"), name))
        return self._rules.get(next(patterns, ".DEFAULT"))

    def read(self, text: str, author: Origin) -> None:
        """
        Read the *author*'s *text*, and follow what is run while it is read.
        """
        with self._inquiry.following(author, text):
            self._inquiry.spend(len(text) / _SIGNS + text.count("\n") / _LINES)
            self._read(text, author)

    def _read(self, text: str, author: Origin) -> None:
        current: list[str] = []
        lines = iter(text.replace("\\\n", " ").splitlines())
        for line in lines:
            if line.startswith(self._prefix):
                for name in current:
                    self._rules[name].lines.append(line[1:])
                continue
            self._run(line, author)
            if match := _DEFINE.match(line):
                body = list(iter(lambda: next(lines, "endef").rstrip(), "endef"))
                self._variables[match.group(1)] = "\n".join(body)
                self._run("\n".join(body), author)
            elif match := _INCLUDE.match(line):
                for path in self.expanded(match.group(1)).split():
                    self._include(path)
            elif match := _VARIABLE.match(line):
                self._assign(match.group(1), match.group(2), match.group(3), author)
                current = []
            elif match := _RULE.match(line):
                current = self.expanded(match.group(1)).split()
                needs = [one for one in self.expanded(match.group(2)).split() if one != "|"]
                for name in current:
                    rule = self._rules.setdefault(name, _Rule([], [], author))
                    rule.needs.extend(() if "=" in match.group(2) else needs)
                    if match.group(3):
                        rule.lines.append(match.group(3))
                self.first = (
                    self.first or [name for name in current if not name.startswith(".") and "%" not in name][:1]
                )
            elif line.strip():
                current = []

    def expanded(self, line: str, target: str = "", needs: list[str] | None = None) -> str:
        """
        A *line* as the shell gets it, in the recipe of a *target*.
        """
        needs = needs or []
        automatic = {"@": target, "<": needs[0] if needs else "", "^": " ".join(needs), "*": target}
        known = {**_PREDEFINED, **automatic, **self._variables}
        for _ in range(_ROUNDS):
            names = _REFERENCE.findall(line)
            if not names:
                break
            if len(line) + sum(len(known.get(name, name)) for name in names) > MAX_SCRIPT:
                raise Unreadable("variables that stand in each other too often")
            line = _REFERENCE.sub(lambda match: known.get(match.group(1), "$" + match.group(1)), line)
        line = _AUTOMATIC.sub(lambda match: automatic.get(match.group(1), ""), line)
        line = re.sub(r"\$\((?:shell\s+)([^()]*)\)", r"$$(\1)", line)
        return line.replace("$$", "$")

    def _assign(self, name: str, sign: str, value: str, author: Origin) -> None:
        """
        A variable gets a *value*, by which recipes may come to be run or read in another way.
        """
        self._variables[name] = value.strip()
        if sign == "!=":
            with self._inquiry.following(author, value):
                self._inquiry.text(self.expanded(value))
        elif name == ".RECIPEPREFIX":
            self._prefix = value[:1] or "\t"
        elif name in {"SHELL", ".SHELLFLAGS"} and not _A_SHELL.fullmatch(value.strip()):
            self._unseen(author, "its recipes would be run by another program")

    def _run(self, text: str, author: Origin) -> None:
        """
        Follow the ``$(shell …)`` in a *text* that is read.
        """
        if _MAKES_RULES.search(text):
            self._unseen(author, "what it would run is only known when it runs")
        for inner in shell_calls(text):
            self._inquiry.spend(len(text) / _SIGNS)
            with self._inquiry.following(author, inner):
                self._inquiry.text(self.expanded(inner))

    def _unseen(self, author: Origin, why: str) -> None:
        with self._inquiry.following(author, ""):
            self._inquiry.object("exec-unknown", Invocation(argv=("make",)), why)

    def _include(self, path: str) -> None:
        text = self._inquiry.content(path) if not is_secret(path) and self._depth < _ROUNDS else HOLE
        if is_known(text):
            self._depth += 1
            self.read(text, self._inquiry.origin(path))
            self._depth -= 1
        elif self._inquiry.is_new(path):
            self._unseen(Origin.LINE, f"what `{path}` holds is only known when it runs")


def shell_calls(text: str) -> Iterator[str]:
    """
    What stands in each ``$(shell …)`` of a makefile's *text*.

    >>> list(shell_calls("a: $(info $(shell echo $(X))) ${shell ls}"))
    ['echo $(X)', 'ls']
    """
    for match in _SHELL.finditer(text):
        opening = match.group(1)
        level, end = 1, len(text)
        for sign in _PARENTHESES[opening].finditer(text, match.end()):
            level += 1 if sign.group() == opening else -1
            if level == 0:
                end = sign.start()
                break
        yield text[match.end() : end]


HANDLERS: dict[str, Handler] = dict.fromkeys(_MAKES, make)
