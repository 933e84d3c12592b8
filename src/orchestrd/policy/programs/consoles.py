"""
Programs with a way to run something else that nobody would look for there: a subcommand, an option, a file of commands.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.javascript import run_package_script
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

_RAKE_EVALUATES = o.words("-e --execute --execute-print -p --execute-continue -E")
_VERBS: dict[tuple[str, str], str] = {
    ("mix", "eval"): "elixir",
    ("wp", "eval"): "php",
    ("drush", "php:eval"): "php",
    ("drush", "ev"): "php",
}
"""Subcommands that are given a program → its language."""
_RUNS: dict[tuple[str, str], int] = {
    # how many words stand between the subcommand and what it runs
    ("mix", "cmd"): 0,
    ("npm", "explore"): 1,
    ("dokku", "run"): 1,
    ("symfony", "console"): 0,
    ("symfony", "run"): 0,
    ("symfony", "php"): 0,
    **{("ddev", verb): 0 for verb in o.words("drush wp artisan composer npm yarn php mysql psql typo3 craft magento")},
}
_SHELLS_OF_ANSIBLE = o.words("shell command raw script ansible.builtin.shell ansible.builtin.command")
_ESCAPES = re.compile(
    r"^[^\S\n]*(?:(?::[^\S\n]*)?(?:silent\s+)?!|shell\s+|:?(?:execute|exe)\s+['\"]!)(.+)$", re.MULTILINE
)
"""Lines of a file of commands that are for a shell."""
_TYPES: dict[str, dict[str, bool]] = {
    # terminal -> the words before what it types (True) or runs
    **o.each("kitty kitten", {"@ send-text": True, "@ launch": False}),
    "wezterm": {"cli send-text": True, "cli spawn": False, "start": False},
    "zellij": {"action write-chars": True, "run": False},
}
_WINDOW_VALUED = o.words("-m --match --to --pane-id --window-id --cwd --type --title --env -n --name -d --direction")
_LINE_END = re.compile(r"\\[nr]")
_COMMAND_FILES: dict[str, tuple[str, ...]] = {
    **o.each("gdb lldb", ("-x", "--command", "-s", "--source")),
    **o.each("vim vi nvim gvim ex", ("-S", "-u")),
}


def consoles(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``rake -e CODE``, ``mix cmd``, ``wp eval``, ``npm explore PACKAGE -- …`` and their like.
    """
    program, argv = call.program, call.argv[1:]
    if program == "rake":
        for text in o.options(argv, *_RAKE_EVALUATES):
            inquiry.code(call, "ruby", text)
    at = next((place for place, word in enumerate(argv) if not word.startswith("-")), len(argv))
    verb, rest = (argv[at], argv[at + 1 :]) if at < len(argv) else ("", ())
    if (program, verb) in _VERBS:
        for text in o.plain(rest)[:1]:
            inquiry.code(call, _VERBS[program, verb], text)
    skip = _RUNS.get((program, verb))
    if skip is not None:
        inner = tuple(word for word in rest[skip:] if word != "--")
        own = (verb,) if verb in {"php", "console"} or program == "ddev" else ()
        return inquiry.argv(call, (*own, *inner)) if inner else None
    if program == "node" and (name := o.option(argv, "--run")) is not None:
        return run_package_script(inquiry, call, name, (), None)
    if program == "sbt":
        for word in argv:
            if word.startswith(("eval ", "set ", ";eval ")):
                inquiry.code(call, "jvm", word.partition(" ")[2])
    return None


def ansible(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``ansible HOST -m shell -a TEXT``.
    """
    module = o.option(call.argv[1:], "-m", "--module-name") or "command"
    for text in o.options(call.argv[1:], "-a", "--args"):
        if module in _SHELLS_OF_ANSIBLE:
            inquiry.text(text)
    return None


def typesets(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    TeX may run programs that its text names, when it is told to.
    """
    if any(re.fullmatch(r"--?(?:shell-escape|enable-write18)", word) for word in call.argv):
        inquiry.object("exec-unknown", call, "TeX would run what its text says")
    return None


def command_files(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A debugger's or an editor's commands in a file.
    """
    for path in o.options(call.argv[1:], *_COMMAND_FILES[call.program]):
        text = inquiry.content(path)
        if is_known(text):
            with inquiry.following(inquiry.origin(path), text):
                for line in _ESCAPES.findall(text):
                    inquiry.text(line.rstrip("'\""))
    return None


def builds_from_input(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``scons -f -``: a Python program on its input.
    """
    if o.option(call.argv[1:], "-f", "--file", "--sconstruct") == "-":
        inquiry.code(call, "python", call.stdin or HOLE)
    return None


def types(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A terminal that is told to type a text into one of its windows, or to open one for a program.
    """
    words = o.plain(call.argv[1:], _WINDOW_VALUED)
    for sequence, is_text in _TYPES[call.program].items():
        wanted = sequence.split()
        if words[: len(wanted)] == wanted and (rest := words[len(wanted) :]):
            if is_text:
                inquiry.text(_LINE_END.sub("\n", " ".join(rest)))
                return HOLE
            return inquiry.argv(call, tuple(rest))
    return None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_TYPES, types),
    **o.each("rake mix wp drush npm dokku symfony node sbt ddev", consoles),
    "ansible": ansible,
    **o.each("pdflatex xelatex lualatex latex tex pdftex latexmk tectonic", typesets),
    **dict.fromkeys(_COMMAND_FILES, command_files),
    "scons": builds_from_input,
}
