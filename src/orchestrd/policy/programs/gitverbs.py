"""
Which uses of git only read: a list of what reads, so that whatever is not known is refused.

Sources: the manual pages of git 2.39 to 2.51.
"""

from __future__ import annotations

import re

from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.marks import is_known

READING = o.words("""
    annotate blame cat-file check-attr check-ignore check-mailmap check-ref-format cherry column count-objects
    describe diff diff-files diff-index diff-tree difftool--helper for-each-ref fsck get-tar-commit-id grep help
    interpret-trailers log ls-files ls-remote ls-tree merge-base merge-tree name-rev patch-id range-diff
    request-pull rev-list rev-parse shortlog show show-branch show-index show-ref status stripspace var
    verify-commit verify-pack verify-tag version whatchanged archive bugreport diagnose cliff last-modified
""")
"""Subcommands that change nothing, whatever their arguments (but for the options below)."""
_LISTING: dict[str, frozenset[str]] = {
    "remote": o.words("-v --verbose show get-url"),
    "stash": o.words("list show"),
    "worktree": o.words("list"),
    "reflog": o.words("show exists list"),
    "submodule": o.words("status summary"),
    "notes": o.words("list show get-ref"),
    "bisect": o.words("log view visualize terms"),
    "difftool": o.words("--tool-help"),
    "mergetool": o.words("--tool-help"),
    "rerere": o.words("status diff remaining"),
    "sparse-checkout": o.words("list check-rules"),
    "lfs": o.words("ls-files status env version locks"),
    "commit-graph": o.words("verify"),
    "multi-pack-index": o.words("verify"),
    "bundle": o.words("verify list-heads"),
    "flow": o.words("version"),
    "maintenance": frozenset(),
    "credential": frozenset(),
    "annex": o.words("info status whereis list version"),
    "config": o.words("""
        --get --list -l --get-all --get-regexp --get-urlmatch --get-color --get-colorbool get list
    """),
}
"""Subcommands that read when their first argument is one of these."""
WRITES_WITH: dict[str, tuple[str, ...]] = {
    "commit": ("-m", "-a", "-am", "--amend", "-F", "--allow-empty", "--no-verify", "-q", "-s", "-S", "--message"),
    "push": ("-u", "-f", "--force", "--force-with-lease", "--all", "--tags", "--set-upstream", "--delete", "origin"),
    "add": (".", "-A", "-u", "-p", "--all", "--update", "-f"),
    "merge": ("--no-ff", "--squash", "--abort", "--continue", "origin/main", "origin/master", "main", "master"),
    "rebase": ("-i", "--onto", "--continue", "--abort", "--skip", "main", "master", "origin/main", "origin/master"),
    "reset": ("--hard", "--soft", "--mixed", "--keep", "--merge", "HEAD", "HEAD~1", "HEAD^"),
    "checkout": ("-b", "-B", "-f", "--", ".", "HEAD", "main", "master", "-"),
    "switch": ("-c", "-C", "--create", "--detach", "main", "master", "-"),
    "restore": ("--staged", "--source", "--worktree", "-S", "-s", "."),
    "stash": ("push", "save", "pop", "apply", "drop", "clear", "branch", "-u", "-k"),
    "clean": ("-f", "-fd", "-fdx", "-df", "-xdf", "-d", "-x"),
    "rm": ("-r", "-f", "-rf", "--cached"),
    "pull": ("--rebase", "--ff-only", "origin"),
    "cherry-pick": ("--continue", "--abort", "-n", "HEAD"),
    "revert": ("--continue", "--abort", "-n", "HEAD", "--no-edit"),
    "am": ("--continue", "--abort", "--skip"),
    "gc": ("--prune", "--aggressive", "--auto"),
    "branch": ("-d", "-D", "-m", "-M", "--delete", "--force"),
    "tag": ("-a", "-d", "-f", "-s", "--delete", "--annotate"),
    "worktree": ("add", "remove", "move", "prune", "lock", "unlock", "repair"),
    "remote": ("add", "remove", "rm", "rename", "set-url", "prune"),
    "update-ref": ("-d", "HEAD"),
    "symbolic-ref": (),
    "update-index": ("--add", "--remove", "--assume-unchanged", "--skip-worktree", "--cacheinfo"),
    "config": ("--unset", "--add", "--unset-all", "--replace-all"),
}
"""
Subcommands that write → first arguments with which they always do; but for those in ``SHOWS`` they do so without any.  Nothing is decided by it: it is what can be said of them in
the rules of the agent's CLI (`orchestrd.policy.backstop`).
"""
SHOWS = o.words("branch config remote tag worktree")
"""Of those, the ones that only show something, or nothing, without an argument."""
_BARE = o.words("remote worktree reflog submodule notes annex")
"""Of those, the ones that read when they have no argument at all."""
_SELECTING = ("--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at")
_BRANCH_OPTIONS = (
    *_SELECTING,
    "--show-current",
    "--all",
    "--remotes",
    "--verbose",
    "--sort",
    "--format",
    "--color",
    "--no-color",
    "--column",
    "--no-column",
    "--abbrev",
    "--no-abbrev",
    "--ignore-case",
    "--omit-empty",
)
_HARMLESS_SETTING = re.compile(
    r"""
    (?:color\.[\w.-]+|core\.(?:quotepath|pager|abbrev|autocrlf|longpaths|precomposeunicode|filemode
    |ignorecase|commentchar|eol|untrackedcache|preloadindex)|log\.\w+|diff\.(?!external)(?:renames
    |renamelimit|noprefix|mnemonicprefix|context|algorithm|colormoved|colormovedws|submodule
    |wserrorhighlight|interhunkcontext|relative|orderfile|ignoresubmodules|indentheuristic|statgraphwidth
    |suppressblankempty)|advice\.\w+|i18n\.\w+|status\.\w+|grep\.(?!fallback)\w+|pager\.\w+|column\.\w+
    |safe\.directory|versionsort\.\w+|blame\.\w+|gc\.auto|maintenance\.auto|index\.\w+|feature\.\w+
    |protocol\.version|user\.\w+|tag\.sort|branch\.sort|pretty\.\w+|format\.pretty)(?:=[^!|;&`$<>]*)?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_HARMLESS_PAGERS = frozenset({"cat", "less", "more", "true", "", "head", "less -frx", "less -r", "false"})


_WRITING_OPTIONS = {
    "archive": ("--remote", "--exec"),
    "interpret-trailers": ("--in-place",),
    "fsck": ("--lost-found",),
    "merge-tree": ("--write-tree",),
}
"""Options with which subcommands that read otherwise write or run something."""
_SORTING = o.words("--sort --format --contains --no-contains --merged --no-merged --points-at --column --color")
_CONFIG_FLAGS = o.words("""
    --global --local --system --worktree --null -z --show-origin --show-scope --name-only --type --bool --int --path
""")
_CONFIG_VALUES = ("--type=", "--file=", "--blob=", "--default=")
_EXPIRING = frozenset({"expire", "delete", "drop", "write"})


def reads(verb: str, arguments: list[str]) -> bool:
    """
    True when this use of a subcommand only reads.
    """
    match verb:
        case "branch" | "tag":
            return _lists(verb, arguments)
        case "config":
            return _asks_settings(arguments)
        case "format-patch":
            return "--stdout" in arguments
        case "apply":
            return "--apply" not in arguments and not {"--check", "--stat", "--numstat", "--summary"}.isdisjoint(
                arguments
            )
        case "hash-object":
            return "-w" not in arguments
        case "symbolic-ref":
            return len(o.plain(arguments)) == 1 and {"-d", "--delete"}.isdisjoint(arguments)
        case "reflog" if arguments:
            return arguments[0] not in _EXPIRING
    if verb in READING:
        writing = _WRITING_OPTIONS.get(verb, ())
        return not (writing and any(word.startswith(writing) for word in arguments))
    listing = _LISTING.get(verb)
    rest = [word for word in arguments if word not in {"--quiet", "-q"}]
    return listing is not None and (rest[0] in listing if rest else verb in _BARE)


def _lists(verb: str, arguments: list[str]) -> bool:
    """
    True when ``git branch`` or ``git tag`` shows what there is.
    """
    short = re.compile(r"-[arvlinq]+\d*" if verb == "branch" else r"-[lni]+\d*")
    if not all(word.startswith(_BRANCH_OPTIONS) or short.fullmatch(word) for word in arguments if word[:1] == "-"):
        return False
    if any(word.startswith(_SELECTING) or re.fullmatch(r"-[arvn]*l[arvn]*", word) for word in arguments):
        return True
    return not o.plain(arguments, _SORTING)


def _asks_settings(arguments: list[str]) -> bool:
    """
    True when ``git config`` is only asked.
    """
    at = next((i for i, word in enumerate(arguments) if word in {"-f", "--file", "--blob"}), len(arguments))
    given = [*arguments[:at], *arguments[at + 2 :]]
    rest = [word for word in given if word not in _CONFIG_FLAGS and not word.startswith(_CONFIG_VALUES)]
    if rest and rest[0] in _LISTING["config"]:
        return True
    return len(rest) == 1 and not rest[0].startswith("-") and rest[0] not in {"edit", "unset", "set"}


def is_harmless(setting: str) -> bool:
    """
    True when *setting* (``name=value``) changes only how something looks.
    """
    name, _, value = setting.partition("=")
    if not is_known(setting) or not _HARMLESS_SETTING.fullmatch(setting):
        return False
    return (
        value.lower() in _HARMLESS_PAGERS
        or not name.lower().startswith(("core.pager", "pager."))
        or value.lower() in {"true", "false", "0", "1"}
    )
