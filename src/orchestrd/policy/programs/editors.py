"""
Editors, pagers and other programs that run commands out of what they are told: ``vim -c``, ``ed``, ``man -P``, ``gcc
-wrapper``.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.environment import runs_text
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known, only_holes

_BANG = re.compile(
    r"""
    (?:^|[|\s:%\d'\"$]|(?:^|[|\s:,])\.)!\s*([^|\n]+)|\bsystem\(\s*['\"]([^'\"]+)['\"]|\b(?:terminal|te|term|make
    |grep)\s+(?:\+\+\w+\s+)?([^|\n]+)
    """,
    re.VERBOSE,
)


_FILTERS = re.compile(r"(?:[%$\d.,'>\]]|\bw(?:rite)?\s)\s*!\s*(?:[^|\n]*)?\Z")
"""``%!sort``, ``w !sh``: the program is given lines of the file."""
_SCRIPT = re.compile(r"\s*(lua|py3?|python3?|ruby|perl)\s+(.*)", re.DOTALL)
"""Commands in an editor's own languages."""
_OPENED = re.compile(r"(?:^|[|\s:])(?:w|wq|x|sav(?:eas)?|r|e(?:dit)?|sp|so(?:urce)?)!?\s+([^\s|!]\S*)")
_DELETED = re.compile(r"\bcall\s+delete\(\s*['\"]([^'\"]+)")
_GIT = re.compile(r"(?:^|\|)\s*(?:Git|G|Gcommit|Gpush|Gwrite|Gpull|Gread)!?\b\s*([^|]*)")
_SAVES = re.compile(r"(?:^|[|\s:])(?:w|wq|x|ZZ)\b")


def editor(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``vi`` and its like: commands by ``-c``, ``+…``, ``-s`` or on their input.
    """
    argv = call.argv[1:]
    texts = [*o.options(argv, "-c", "--cmd", "-S"), *(word[1:] for word in argv if word.startswith("+"))]
    if call.program in {"ed", "ex", "red"} or o.has_flag(argv, "es"):
        texts.append(call.stdin or "")
    elif call.stdin is not None and is_known(call.stdin) and "-" not in argv:
        texts.append(call.stdin)  # what would have been typed
    for text in texts:
        if only_holes(text):
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        for match in _BANG.finditer(text):
            inner = next((one for one in match.groups() if one), "")
            if inner:
                inner = re.sub(r"['\"]\s*$", "", inner) if inner.count("'") % 2 or inner.count('"') % 2 else inner
                inquiry.text(inner, stdin=HOLE if _FILTERS.search(text, 0, match.end() - len(inner)) else None)
        for match in _OPENED.finditer(text):
            inquiry.use(match.group(1), call, writes=match.group().lstrip("|: ")[0] in "wx")
        for path in _DELETED.findall(text):
            inquiry.argv(call, ("rm", path), stdin=None)
        for arguments in filter(None, _GIT.findall(text)):
            inquiry.text("git " + arguments)
        if script := _SCRIPT.match(text):
            inquiry.code(call, "python" if script.group(1).startswith("py") else script.group(1), script.group(2))
    writes = not texts or any(map(_SAVES.search, texts))
    for path in o.plain(argv, o.words("-c -S --cmd -u -T -w -W -s")):
        if not path.startswith("+"):
            inquiry.use(path, call)
            inquiry.use(path, call, writes=writes)
    return HOLE


def pager(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``man -P``, ``less +!…``, ``rg --pre``, ``sort --compress-program`` …: an option that names a program.
    """
    names = _PROGRAMS[call.program]
    for text in o.options(call.argv[1:], *names):
        if is_known(text) and text not in o.words("cat less never auto always head more"):
            line = text.replace(",", " ") if call.program in {"gcc", "g++", "cc", "c++", "clang"} else text
            if call.program in _INJECTED:
                runs_text(inquiry, call, line, f"`{call.program}` would run another program")
            else:
                inquiry.text(line)
    if call.program in {"less", "more", "most"}:
        for word in call.argv[1:]:
            if match := re.match(r"\+.*?!(.*)", word):
                inquiry.text(match.group(1))
    return None


_INJECTED = o.words("man rg ag ack bat batcat delta sort gcc g++ cc c++ clang tcpdump ctags")
_PROGRAMS: dict[str, tuple[str, ...]] = {
    "man": ("-P", "--pager", "-H", "--html"),
    "less": (),
    "more": (),
    "most": (),
    "rg": ("--pre", "--hostname-bin"),
    "ag": ("--pager",),
    "ack": ("--pager",),
    "bat": ("--pager",),
    "batcat": ("--pager",),
    "delta": ("--pager",),
    "sort": ("--compress-program",),
    **o.each("gcc g++ cc c++ clang", ("-wrapper",)),
    "ctags": ("--preload-config",),
    "cpio-run": (),
    "column-run": (),
    "mutt": ("-e",),
    "dmenu": (),
    "fzf": ("--preview", "--bind", "--execute"),
    "sk": ("--preview", "-c", "--cmd"),
    "tcpdump": ("-z",),
    "logrotate": (),
    "pg_dump": (),
    "wget-run": ("--use-askpass",),
    "scp-run": ("-S",),
    "hg-run": (),
    "nsh": (),
    "lftp-run": ("-e",),
    "mail": (),
    "gnome-terminal": ("-e", "-x"),
    "xterm": ("-e",),
    "konsole": ("-e",),
    "alacritty": ("-e",),
    "kitty": (),
    "nodemon": ("-x", "--exec"),
    "tsc-watch": ("--onSuccess", "--onFailure", "--onFirstSuccess", "--onCompilationComplete"),
    "watchexec": (),
    "onchange": (),
    "chokidar": ("-c", "--command"),
    "tsup": ("--onSuccess",),
    "air": ("--build.cmd", "--build.bin"),
    "reflex": (),
    "bacon": (),
    "watchmedo": ("-c", "--command"),
    "wp-run": (),
    "pandoc": ("--filter", "-F", "--lua-filter", "-L", "--pdf-engine"),
    "qemu-run": (),
    "pdflatex": (),
}


_EMBEDDED = re.compile(
    r"""
    (?:e?syscmd\(\[?
    |\\write18\s*\{
    |execute_process\(\s*COMMAND\s+
    |(?m:^[^\S\n]*command\s*=\s*)
    |(?m:^[^\S\n]*~?!)
    |platform\s+shell\s+
    |(?<=\W)system\(\s*[\"'])
    ([^\])}\n\"']+)
    """,
    re.VERBOSE,
)
"""Commands in m4, TeX, CMake, ninja, mail, lldb and gnuplot."""


def embeds(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Programs with a small language of their own in which commands can stand: ``dc``, ``m4``, ``tex``, ``ninja``,
    ``cmake -P``, ``mail``.
    """
    texts = [*call.argv[1:], call.stdin or ""]
    for path in [*o.options(call.argv[1:], "-f", "-P"), *o.plain(call.argv[1:])]:
        content = inquiry.content(path) if path and is_known(path) and not path.startswith("\\") else ""
        texts.append(content if is_known(content) else "")
    for text in texts:
        for command in _EMBEDDED.findall(text):
            inquiry.text(command.strip())
        for match in re.finditer(r"include\((/[^)]*)\)", text):
            inquiry.use(match.group(1), call)
    return None


_RUNNING_VERBS = o.words("""
    new new-session neww new-window split-window splitw respawn-pane popup display-popup if-shell if run-shell run
    pipe-pane
""")
"""Of tmux."""
_KEYS = frozenset({"Enter", "C-m", "Space", "C-c", "C-d"})


def multiplexer(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``tmux``, ``screen``: a command, or keys that are typed into a shell.
    """
    argv = call.argv[1:]
    if call.program == "screen":
        rest = call.argv[o.after_options(call.argv, o.words("-S -t -h -c -e -p -s -T -x -r -X")) :]
        if "-X" in argv:
            rest = argv[argv.index("-X") + 1 :]
            text = " ".join(rest[1:]) if rest[:1] in (("stuff",), ("exec",), ("screen",)) else ""
            if text:
                inquiry.text(re.sub(r"\\n|\^M|\n|\\015", "", text))
            return HOLE
        return inquiry.argv(call, rest) if rest else HOLE
    if call.program in {"abduco", "dtach"}:
        words = o.plain(call.argv[1:], o.words("-e -E -r -z"))
        return inquiry.argv(call, tuple(words[1:])) if len(words) > 1 else HOLE
    at = o.after_options(call.argv, o.words("-L -S -f -c"))
    verb, rest = (call.argv[at], call.argv[at + 1 :]) if at < len(call.argv) else ("", ())
    valued = o.words("-t -s -n -c -x -y -e -F -l -p")
    words = o.plain(rest, valued)
    if verb in {"send-keys", "send"}:
        text = " ".join(word for word in words if word not in _KEYS)
        inquiry.text(text)
    elif words and verb in _RUNNING_VERBS:
        inquiry.text(words[0] if " " in words[0] else " ".join(words))
    return HOLE


def watcher(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``watchexec``, ``nodemon`` …: a command for every change.
    """
    argv = call.argv[1:]
    for text in o.options(argv, "-x", "--exec", "-c", "--command", "-s"):
        if " " in text or call.program != "watchexec":
            inquiry.text(text)
    if "--" in argv:
        rest = argv[argv.index("--") + 1 :]
        return inquiry.text(rest[0]) if len(rest) == 1 else inquiry.argv(call, rest)
    rest = call.argv[
        o.after_options(
            call.argv,
            o.words("""
                -w --watch -e --exts -i --ignore -f --filter -d --debounce -x --exec -c --command -s --ext
                --delay -r -R -g -p -o --signal --project-origin
            """),
        ) :
    ]
    if rest and call.program in {"watchexec", "reflex", "wtc", "modd"}:
        return inquiry.text(" ".join(rest)) if len(rest) == 1 else inquiry.argv(call, rest)
    return None


HANDLERS: dict[str, Handler] = {
    **o.each(
        """
        dc bc m4 tex pdftex latex pdflatex xelatex lualatex ninja cmake mail mailx mutt lldb maxima radare2 r2
        gnuplot octave gp rizin jdb ftp-cmd telnet-cmd
        """,
        embeds,
    ),
    **o.each("vim vi nvim ex ed view gvim red kak helix hx emacs-nw nano", editor),
    **dict.fromkeys(_PROGRAMS, pager),
    **o.each("tmux screen zellij abduco dtach", multiplexer),
    **o.each("watchexec nodemon onchange reflex watchmedo chokidar wtc modd gow", watcher),
}
