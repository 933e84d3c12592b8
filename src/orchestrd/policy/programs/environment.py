"""
The environment of a program: variables that make it run something else, and ``env``.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.scope import Place
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.paths import absolute

ASSIGNMENT = re.compile(r"[A-Za-z_][\w%]*=")
_INJECTING = re.compile(
    r"""
    (?i:npm_config_(?:script_shell|node_options|shell|git|editor|prefix))|PSQLRC|PSQL_(?:PAGER|EDITOR)
    |SYSTEMD_PAGER|GIT_ALTERNATE_OBJECT_DIRECTORIES|CARGO_(?:BUILD_)?RUSTC(?:_WRAPPER)?|RUSTC_WRAPPER
    |RUSTC|RUSTDOC|CARGO_(?:BUILD_)?RUSTDOC|CARGO_TARGET_\w+_(?:RUNNER|LINKER)|VIMINIT|EXINIT|GVIMINIT|LUA_INIT\w*
    |TS_NODE_REQUIRE|WGETRC|CURL_HOME|YARN_YARN_PATH|YARN_RC_FILENAME|(?i:npm_config_(?:user|global)config)|PHPRC
    |PHP_INI_SCAN_DIR|OPENSSL_CONF|OPENSSL_ENGINES|OPENSSL_MODULES
    |GOFLAGS_EXEC|PIP_CONFIG_FILE|LD_(?:PRELOAD|AUDIT|LIBRARY_PATH)|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND
    |PS[0-4]|SHELLOPTS|BASH_FUNC_.*|PYTHON(?:STARTUP|HOME|INSPECT)|PERL5(?:OPT|LIB|DB)|RUBYOPT|RUBYLIB
    |NODE_PATH|GIT_(?:SSH\w*|EXTERNAL_DIFF|EDITOR|SEQUENCE_EDITOR|ASKPASS|PROXY_COMMAND|EXEC_PATH
    |TEMPLATE_DIR|CONFIG\w*)|SSH_ASKPASS|LESSOPEN|ZDOTDIR|LESSCLOSE|GCONV_PATH|HISTFILE
    |MAKEFLAGS|GREP_COLORS?_CMD|TAR_OPTIONS|RSYNC_RSH|CVS_RSH|SUDO_ASKPASS
    """,
    re.VERBOSE,
)
_BY_VALUE: dict[str, re.Pattern[str]] = {
    **o.each(
        "_JAVA_OPTIONS JAVA_TOOL_OPTIONS JAVA_OPTS JDK_JAVA_OPTIONS MAVEN_OPTS GRADLE_OPTS SBT_OPTS",
        re.compile(r"-(?:javaagent|agent(?:path|lib)|XX:On)"),
    ),
    **o.each("ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ELIXIR_ERL_OPTIONS", re.compile(r"-(?:eval|run|s)\b")),
    "GOFLAGS": re.compile(r"-(?:toolexec|vettool|exec)\b"),
    "LESS": re.compile(r"\+[^+!]*!|-[kT]"),
    "PYTHONBREAKPOINT": re.compile(r"(?!0$|$|pdb\.|ipdb\.|pudb)."),
    "NODE_OPTIONS": re.compile(r"--(?:require|import|loader|experimental-loader)|-r\b"),
    "GIT_ALLOW_PROTOCOL": re.compile(r"\bext\b"),
}
"""Variables that make a program run something else by some of their values."""
_FOUND_BY: dict[str, frozenset[str]] = {
    "HOME": o.words(".gitconfig .npmrc .curlrc .wgetrc .profile .bashrc .bash_profile .zshrc .vimrc .psqlrc"),
    "XDG_CONFIG_HOME": o.words("git/config pip/pip.conf fish/config.fish"),
}
"""Variables by which programs find settings that run programs → files in which these are."""
_PAGING = o.words("GIT_PAGER PAGER MANPAGER BROWSER EDITOR VISUAL")
_SEARCHED = o.words("CDPATH PYTHONPATH NODE_PATH RUBYLIB PERL5LIB CLASSPATH LUA_PATH GEM_PATH PYTHONUSERBASE")
_KNOWN_HELPERS = o.words("""
    cat less more head tail true false vi vim nano bat delta diff-so-fancy ssh gzip gunzip zstd pigz bzip2 xz
    lz4 pbzip2 lbzip2 column sort uniq wc nl tee emacs code most diff fold jq python python3 node
""")
_HARMLESS = frozenset(
    {"cat", "less", "more", "true", ":", "", "vi", "vim", "nano", "less -FRX", "less -R", "false", "/dev/null", "head"}
)
_HARMLESS_GIT = frozenset({"GIT_CONFIG_NOSYSTEM"})
_TRACED_GIT = re.compile(r"GIT_(?:TRACE\w*|REDIRECT_STD(?:OUT|ERR))")
_TEMPORARY = "/tmp"  # noqa: S108 - what others may write is no place for programs; nothing is opened


def check_environment(inquiry: Inquiry, call: Invocation) -> None:
    """
    Variables that name a program or a library which the command would then run.
    """
    for name, value in call.environment.items():
        if name in _SEARCHED and is_known(value):
            for path in value.split(":"):
                if path.startswith(("/", "..", "~")):
                    inquiry.use(path, call, only_looks=True)
        if name in _PAGING and value not in _HARMLESS:
            runs_text(inquiry, call, value, f"{name} makes a program run something else")
        elif name == "PROMPT_COMMAND" and value:
            inquiry.text(value)
        elif _INJECTING.fullmatch(name) and value not in _HARMLESS and name not in _HARMLESS_GIT:
            if name == "MAKEFLAGS" and re.fullmatch(r"-?[\w\s=-]*", value):
                continue
            inquiry.object("exec-unknown", call, f"{name} makes a program run something else")
        elif name in _BY_VALUE and _BY_VALUE[name].search(value):
            inquiry.object("exec-unknown", call, f"{name} makes a program run something else")
        elif name.startswith("TF_CLI_ARGS") and "-auto-approve" in value:
            inquiry.object("outside", call, f"{name} approves what would be changed")
        elif name == "DOCKER_HOST" and not value.startswith("unix:"):
            inquiry.object("outside", call, "another machine's containers would be used")
        elif name in _FOUND_BY and _settles(inquiry, call, value, _FOUND_BY[name]):
            inquiry.object("exec-unknown", call, f"by {name} programs find settings that may run others")
        elif _TRACED_GIT.fullmatch(name) and (value.startswith("/") or not is_known(value)):
            # Of git(1): an absolute path is written to.
            inquiry.use(value, call, writes=True)
        elif name == "PATH" and is_known(value) and value.startswith(_TEMPORARY):
            inquiry.use(value.split(":")[0], call, only_looks=True)


def _settles(inquiry: Inquiry, call: Invocation, folder: str, names: frozenset[str]) -> bool:
    """
    True where an agent may write the *folder*, and one of the files *names* is there.
    """
    places = (inquiry.place(folder, cwd) for cwd in call.cwd)
    paths = (f"{folder.rstrip('/')}/{name}" for name in names)
    return any(place in {Place.TREE, Place.SCRATCH} for place in places) and any(
        inquiry.is_new(path) or inquiry.on_disk(path) is not None for path in paths
    )


def runs_text(inquiry: Inquiry, call: Invocation, text: str, what: str) -> None:
    """
    Follow a command that an option or a variable names, and object where it is none that is known.
    """
    before = len(inquiry.found)
    inquiry.text(text)
    first = text.split(None, 1)[0].rsplit("/", 1)[-1] if text.split() else ""
    if len(inquiry.found) == before and first not in _KNOWN_HELPERS:
        inquiry.object("exec-unknown", call, what)


_VALUED = o.words("-u -C -P --unset --chdir")
_SPLITS = re.compile(r"-S|--split-string|-[iv0]+S")
_SPLIT_OPTION = re.compile(r"^(?:--split-string=?|-[iv0]*S)")


def environment(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``env``: alone it prints the environment; ``env -S`` cuts a text into words.
    """
    argv = call.argv
    for at, word in enumerate(argv[1:], 1):
        if _SPLITS.match(word):
            text, following = _SPLIT_OPTION.sub("", word), argv[at + 1 :]
            if not text and following:
                text, following = following[0], following[1:]
            rest = " ".join([text, *(f"'{one}'" for one in following)])
            return inquiry.text(f"env {rest}", stdin=call.stdin)
    variables = dict(call.environment)
    at = o.after_options(argv, _VALUED)
    while at < len(argv) and (ASSIGNMENT.match(argv[at]) or argv[at] == "-"):
        name, _, value = argv[at].partition("=")
        variables[name] = value
        at += 1
        if at < len(argv) and argv[at].startswith("-"):
            at = o.after_options(argv, _VALUED, start=at)
    if at >= len(argv):
        if not o.has_flag(argv[1:], "i", "--ignore-environment") and "-" not in argv:
            inquiry.object("secret", call, "the whole environment would be shown")
        return HOLE
    cwd = call.cwd
    if (folder := o.option(argv[1:], "-C", "--chdir")) is not None:
        inquiry.use(folder, call, only_looks=True)
        cwd = tuple(absolute(folder, one) if is_known(folder) and is_known(one) else HOLE for one in cwd)
    return inquiry.argv(call, argv[at:], environment=variables, cwd=cwd)


HANDLERS: dict[str, Handler] = o.each("env genv", environment)
