"""
Git, of which only reading is allowed: by a list of what reads, so that whatever is not known is refused.

Sources: the manual pages of git 2.39 to 2.51.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.gitverbs import is_harmless, reads
from orchestrd.policy.scope import Place
from orchestrd.policy.secrecy import is_secret
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, hole, is_known, shown
from orchestrd.policy.shell.paths import absolute

_VALUED = o.words("""
    -C --git-dir --work-tree --namespace --super-prefix --config-env --attr-source --list-cmds
""")
_RUNNING_OPTIONS = (
    "--ext-diff",
    "--textconv-cmd",
    "--open-files-in-pager",
    "--upload-pack",
    "--exec",
    "--receive-pack",
    "-O",
)
_PARTED = o.words("maintenance notes bundle commit-graph multi-pack-index reflog sparse-checkout")
"""Subcommands whose own subcommands tell how they are used, when they are asked by their first word."""
_WORKING_VARIABLES = o.words("GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_COMMON_DIR")


def judge_git(inquiry: Inquiry, call: Invocation) -> str:
    """
    Judge a call of git; what it prints.
    """
    rest = list(call.argv[1:])
    cwd = call.cwd
    if call.argv[0].startswith("/") and any(
        place.value == "outside" for place in (inquiry.place(call.argv[0], one) for one in cwd)
    ):
        inquiry.object("outside", call, f"`{call.argv[0]}` is outside of the project")
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word in o.words("--version --help -h -v --html-path --man-path --info-path") or word == "--exec-path":
            return HOLE
        value = ""
        if "=" in word and word.startswith("--"):
            word, _, value = word.partition("=")
        elif word in _VALUED or word == "-c":
            value = rest.pop(0) if rest else ""
        elif word.startswith("-C") and len(word) > 2:
            word, value = "-C", word[2:]
        elif word.startswith("-c") and len(word) > 2:
            word, value = "-c", word[2:]
        if word == "-c":
            if not is_harmless(value):
                _object_setting(inquiry, call, value, rest)
                return HOLE
        elif word in {"--exec-path", "--config-env"}:
            inquiry.object("git", call, f"`git {word}` may not be used")
            return HOLE
        elif word == "-C":
            cwd = tuple(absolute(value, one) if is_known(value) and is_known(one) else HOLE for one in cwd)
            inquiry.use(value, call, only_looks=True)
            if any(is_known(inquiry.content(f"{value}/{name}")) for name in ("HEAD", "config")):
                _object_repository(inquiry, call, value)
        elif word in {"--git-dir", "--work-tree"}:
            inquiry.use(value, call, only_looks=True)
            if word == "--git-dir":
                _object_repository(inquiry, call, value)
    for name in _WORKING_VARIABLES & call.environment.keys():
        inquiry.use(call.environment[name], call, only_looks=True)
        if name in {"GIT_DIR", "GIT_COMMON_DIR"}:
            _object_repository(inquiry, call, call.environment[name])
    if any(word.startswith("ext::") for word in rest):
        inquiry.object("exec-unknown", call, "git would run what an `ext::` address says")
    if not rest:
        return HOLE
    verb, arguments = rest[0], rest[1:]
    if not is_known(verb):
        inquiry.object("git", call, f"which git command `{shown(verb)}` is cannot be read")
        return HOLE
    if arguments in (["-h"], ["--help"]) or (verb in _PARTED and arguments[1:] in (["-h"], ["--help"])):
        return HOLE
    if not reads(verb, arguments):
        inquiry.object("git", call, f"`git {verb}` changes the repository or is not known to only read it")
        return HOLE
    for word in arguments:
        if word.startswith(_RUNNING_OPTIONS) and not (word.startswith("-O") and verb != "grep"):
            inquiry.object("git", call, f"`git {verb} {word}` runs another program")
            return HOLE
    return _files(inquiry, call, verb, arguments, cwd)


def _files(inquiry: Inquiry, call: Invocation, verb: str, arguments: list[str], cwd: tuple[str, ...]) -> str:
    """
    The files that a reading command names.
    """
    here = Invocation(argv=call.argv, cwd=cwd, through=call.through, elsewhere=call.elsewhere)
    for path in o.options(arguments, "--output", *(["-o"] if verb == "archive" else [])):
        inquiry.use(path, here, writes=True)
    valued = o.words("""
        -n -S -G -L -U --format --pretty --since --until --after --before --author --grep --date --max-count -e
        -m --committer --diff-filter -l -O -X
    """)
    words = o.plain(arguments, valued)
    if verb == "grep" and not o.has_flag(arguments, "e"):
        words = words[1:]
    if verb in o.words("""
        diff grep blame annotate log show cat-file ls-files ls-tree archive hash-object apply check-ignore
    """):
        shows = o.has_flag(arguments, "p", "--patch", "-p", "-u")
        lists = o.has_flag(arguments, "", "--stat", "--name-only", "--name-status")
        for word in [*words, *o.options(arguments, "--contents", "--no-index", "-f", "--exclude-from", "-X")]:
            if word.startswith((":/", "@{", "^")) or ("..." in word and verb != "ls-files"):
                continue
            name = (
                word.partition(":")[2]
                if verb in {"show", "cat-file", "blame", "diff", "archive"} and ":" in word
                else word
            )
            if verb in {"log", "archive"} and is_secret(name) and (verb == "archive" or shows):
                inquiry.use(name, here)
            looks = verb in {"ls-files", "ls-tree", "check-ignore", "log", "archive"} or (
                verb in {"diff", "show"} and lists
            )
            inquiry.use(name, here, only_looks=looks)
    if verb == "rev-parse" and "--show-toplevel" in arguments:
        return inquiry.scope.tree
    if verb == "rev-parse" and (set(arguments) & {"--git-path", "--git-dir", "--git-common-dir", "--absolute-git-dir"}):
        return ".git/" + arguments[-1] if "--git-path" in arguments else ".git"
    for path in [
        *(o.options(arguments, "-f", "--file") if verb == "config" else []),
        *(o.plain(arguments)[:1] if verb == "ls-remote" else []),
    ]:
        if not re.match(r"[\w.+-]+(?:@|://)|\w+$", path):
            inquiry.use(path, here, only_looks=True)
    if verb == "config" and any(
        re.search(r"extraheader|password|token|credential|insteadof|\.helper", word, re.IGNORECASE)
        for word in arguments
    ):
        inquiry.object("secret", call, "credentials would be shown")
    if verb == "rev-parse" and arguments[:1] in (["--show-prefix"], ["--show-cdup"]):
        return ""
    return hole("(git)")


def _object_repository(inquiry: Inquiry, call: Invocation, path: str) -> None:
    """
    Another repository than the tree's has settings that may run programs.
    """
    if any(inquiry.place(path, cwd) in {Place.TREE, Place.SCRATCH} for cwd in call.cwd):
        inquiry.object("exec-unknown", call, f"the settings of the repository `{shown(path)}` may run other programs")


def _object_setting(inquiry: Inquiry, call: Invocation, setting: str, rest: list[str]) -> None:
    """
    A setting for one command may name a program, and then it is that program's turn.
    """
    verb = next((word for word in rest if not word.startswith("-")), "")
    reading = reads(verb, rest[rest.index(verb) + 1 :]) if verb in rest else False
    value = setting.partition("=")[2]
    before = len(inquiry.found)
    if value.startswith("!") or " " in value:
        inquiry.text(value.removeprefix("!"))
    if len(inquiry.found) == before or inquiry.found[-1].rule == "exec-unknown":
        inquiry.object("exec-unknown" if reading else "git", call, f"`git -c {shown(setting)}` may not be used")


def helper(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``git-commit`` and its like, as they lie in git's own folder.
    """
    inner = Invocation(
        argv=("git", call.program.removeprefix("git-"), *call.argv[1:]),
        environment=call.environment,
        stdin=call.stdin,
        cwd=call.cwd,
        through=call.through,
        elsewhere=call.elsewhere,
    )
    return judge_git(inquiry, inner)


_VERBS = o.words("""
    add am apply bisect branch checkout checkout-index cherry-pick clean clone commit commit-tree config
    fast-import fetch fetch-pack filter-branch gc init maintenance merge mktag mktree mv notes pack-objects
    pack-refs prune pull push read-tree rebase receive-pack reflog remote repack replace reset restore revert rm
    send-email send-pack shell stash submodule switch symbolic-ref tag unpack-objects update-index update-ref
    upload-pack worktree write-tree lfs svn subtree
""")
HANDLERS: dict[str, Handler] = {
    "git": judge_git,
    "hub": judge_git,
    "git.exe": judge_git,
    **{f"git-{verb}": helper for verb in _VERBS},
}
WRITING = _VERBS
"""Subcommands that change a repository, for texts that are no command lines."""
