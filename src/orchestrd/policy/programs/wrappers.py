"""
Programs that run another program, given by their arguments.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known


class Wrapper(NamedTuple):
    """
    *valued* options take the next word; *skip* words of its own stand before the command.
    """

    valued: frozenset[str] = frozenset()
    skip: int = 0


def _w(valued: str = "", skip: int = 0) -> Wrapper:
    return Wrapper(o.words(valued), skip)


WRAPPERS: dict[str, Wrapper] = {
    "sudo": _w("-u -g -h -p -C -r -t -T -D -R -U --user --group --host --prompt --chdir --chroot --role --type"),
    "doas": _w("-u -C"),
    "pkexec": _w("--user"),
    "run0": _w("-u --user -D --chdir"),
    "runas": _w("-u"),
    "nice": _w("-n --adjustment"),
    "ionice": _w("-c -n -p --class --classdata"),
    "chrt": _w("-T -P -D", 1),
    "taskset": _w("", 1),
    "numactl": _w("-i -m -N -C -p -l --interleave --membind --cpunodebind --physcpubind"),
    "nohup": _w(),
    "setsid": _w(),
    "command": _w(),
    "builtin": _w(),
    "exec": _w("-a"),
    "coproc": _w(),
    "noglob": _w(),
    "nocorrect": _w(),
    "stdbuf": _w("-i -o -e --input --output --error"),
    "timeout": _w("-s -k --signal --kill-after", 1),
    "gtimeout": _w("-s -k --signal --kill-after", 1),
    "time": _w("-f -o --format --output"),
    "gtime": _w("-f -o --format --output"),
    "busybox": _w(),
    "toybox": _w(),
    "chronic": _w(),
    "unbuffer": _w(),
    "ifne": _w(),
    "ts": _w(),
    "xvfb-run": _w("-n -s -e -f -p -w --server-num --server-args --error-file --auth-file"),
    "dbus-run-session": _w("--config-file --dbus-daemon"),
    "dbus-launch": _w(),
    "firejail": _w(),
    "bwrap": _w(
        "--bind --ro-bind --dev-bind --symlink --tmpfs --proc --dev --dir --setenv --unsetenv --chdir --hostname --uid --gid --cap-drop "
        "--cap-add --seccomp --lock-file --file --bind-data --perms"
    ),
    "unshare": _w("-S -G -R -w --setuid --setgid --root --wd --map-user --map-group --propagation --setgroups"),
    "nsenter": _w("-t -S -G --target --setuid --setgid"),
    "chroot": _w("--userspec --groups", 1),
    "systemd-run": _w(
        "-p -u -E -M -H --unit --property --description --slice --setenv --uid --gid --working-directory --on-active --on-calendar"
    ),
    "systemd-inhibit": _w("--what --who --why --mode"),
    "rlwrap": _w("-f -H -s -p -C"),
    "rlfe": _w(),
    "cross-env": _w(),
    "cross-env-shell": _w(),
    "dotenv": _w("-e -f -c -p --file"),
    "dotenvx": _w("-e -f"),
    "env-cmd": _w("-f -e"),
    "strace": _w("-e -o -p -s -u -E -a -O -S -b -I -X -P --trace --output"),
    "ltrace": _w("-e -o -p -s -u -a -n -l -x"),
    "infisical": _w("--env --path --projectId --token"),
    "teller": _w("-c"),
    "chamber": _w(),
    "ld.so": _w("--preload --library-path --argv0 --audit"),
    "gdb": _w("-ex -x -p -iex -d -cd --command --eval-command"),
    "rr": _w(),
    "valgrind": _w(),
    "perf": _w("-e -o -p -F -C -t -r", 1),
    "hyperfine": _w(
        "-w -r -m -M -p -c -s -S -n --warmup --runs --prepare --cleanup --setup --shell --export-json --export-markdown"
    ),
    "flamegraph": _w("-o"),
    "catchsegv": _w(),
    "faketime": _w("-f", 1),
    "fakeroot": _w("-l -s -i -u --lib --faked"),
    "fakechroot": _w(),
    "proot": _w("-r -b -q -w -k -R -S"),
    "caffeinate": _w("-t -w"),
    "arch": _w(),
    "setarch": _w("", 1),
    "linux32": _w(),
    "linux64": _w(),
    "prlimit": _w("-p -o"),
    "cpulimit": _w("-l -p -e"),
    "cgexec": _w("-g"),
    "choom": _w("-n -p"),
    "setpriv": _w("--reuid --regid --groups --inh-caps --bounding-set"),
    "capsh": _w(),
    "torsocks": _w(),
    "torify": _w(),
    "proxychains": _w("-f"),
    "proxychains4": _w("-f"),
    "tsocks": _w(),
    "eatmydata": _w(),
    "nq": _w(),
    "tsp": _w("-L -N -D"),
    "batch": _w(),
    "retry": _w("-t -d --times --delay"),
    "winpty": _w(),
    "wsl": _w("-d -u -e --exec"),
    "exec-helper": _w(),
    "doppler": _w("-p -c -t", 1),
    "chpst": _w("-u -U -b -e -m -d -o -p -f -c -t"),
    "softlimit": _w("-m -d -s -l -a -o -p -f -c -t"),
    "envdir": _w("", 1),
    "setuidgid": _w("", 1),
    "s6-setuidgid": _w("", 1),
    "gosu": _w("", 1),
    "su-exec": _w("", 1),
    "tini": _w("-p -e"),
    "dumb-init": _w("-r"),
    "mise": _w("-C"),
    "rtk": _w(),
    "pueue": _w("-g -l -w -d", 1),
    "noti": _w("-t -m"),
    "entr": _w(),
    "pidstat": _w("-p"),
    "daemonize": _w("-c -e -o -p -l -u"),
    "start-stop-daemon": _w("-x -p -u -g -n -s -d -a --exec --pidfile --user --group --name --chdir --startas"),
}
"""Everything that stands behind their own words is the command."""

_ARCHITECTURES = o.words("""
    x86_64 i386 i486 i586 i686 linux32 linux64 uname26 aarch64 arm armv7l ppc ppc64 s390 s390x amd64
""")
_RAISING = o.words("sudo doas pkexec run0 runas gosu su-exec nsenter chroot setpriv")
_ASSIGNMENT = re.compile(r"[A-Za-z_][\w%]*=")
_INJECTING = re.compile(
    r"""
    (?i:npm_config_(?:script_shell|node_options|shell|git|editor|prefix))|PSQLRC|PSQL_(?:PAGER|EDITOR)
    |SYSTEMD_PAGER|GIT_ALTERNATE_OBJECT_DIRECTORIES|CARGO_(?:BUILD_)?RUSTC(?:_WRAPPER)?|RUSTC_WRAPPER
    |GOFLAGS_EXEC|PIP_CONFIG_FILE|LD_(?:PRELOAD|AUDIT|LIBRARY_PATH)|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND
    |PS[0-4]|SHELLOPTS|BASH_FUNC_.*|PYTHON(?:STARTUP|HOME|INSPECT)|PERL5(?:OPT|LIB|DB)|RUBYOPT|RUBYLIB
    |NODE_PATH|GIT_(?:SSH\w*|EXTERNAL_DIFF|EDITOR|SEQUENCE_EDITOR|ASKPASS|PROXY_COMMAND|EXEC_PATH
    |TEMPLATE_DIR|CONFIG\w*)|SSH_ASKPASS|LESSOPEN|ZDOTDIR|LESSCLOSE|JAVA_TOOL_OPTIONS|GCONV_PATH|HISTFILE
    |MAKEFLAGS|GREP_COLORS?_CMD|TAR_OPTIONS|RSYNC_RSH|CVS_RSH|SUDO_ASKPASS
    """,
    re.VERBOSE,
)
_PAGING = o.words("GIT_PAGER PAGER MANPAGER BROWSER EDITOR VISUAL")
_SEARCHED = o.words("CDPATH PYTHONPATH NODE_PATH RUBYLIB PERL5LIB CLASSPATH LUA_PATH GEM_PATH PYTHONUSERBASE")
_KNOWN_HELPERS = o.words("""
    cat less more head tail true false vi vim nano bat delta diff-so-fancy ssh gzip gunzip zstd pigz bzip2 xz
    lz4 pbzip2 lbzip2 column sort uniq wc nl tee emacs code most diff fold jq python python3 node
""")
_HARMLESS = frozenset(
    {"cat", "less", "more", "true", ":", "", "vi", "vim", "nano", "less -FRX", "less -R", "false", "/dev/null", "head"}
)
_HARMLESS_GIT = re.compile(r"GIT_CONFIG_(?:NOSYSTEM|GLOBAL|SYSTEM)")


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
        elif _INJECTING.fullmatch(name) and value not in _HARMLESS and not _HARMLESS_GIT.fullmatch(name):
            if name == "MAKEFLAGS" and re.fullmatch(r"-?[\w\s=-]*", value):
                continue
            inquiry.object("exec-unknown", call, f"{name} makes a program run something else")
        elif name == "NODE_OPTIONS" and re.search(r"--(?:require|import|loader|experimental-loader)|-r\b", value):
            inquiry.object("exec-unknown", call, f"{name} makes a program run something else")
        elif name == "PATH" and is_known(value):
            inquiry.use(value.split(":")[0], call, only_looks=True) if value.startswith("/tmp") else None


def runs_text(inquiry: Inquiry, call: Invocation, text: str, what: str) -> None:
    """
    Follow a command that an option or a variable names, and object where it is none that is known.
    """
    before = len(inquiry.found)
    inquiry.text(text)
    first = text.split(None, 1)[0].rsplit("/", 1)[-1] if text.split() else ""
    if len(inquiry.found) == before and first not in _KNOWN_HELPERS:
        inquiry.object("exec-unknown", call, what)


def wrapped(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Follow the command that *call* wraps.
    """
    name = call.program
    if name in {"command", "builtin"} and call.argv[1:2] and call.argv[1] in {"-v", "-V"}:
        return f"/usr/bin/{call.argv[2]}" if len(call.argv) > 2 else ""
    if re.match(r"ld[-.](?:linux|musl|so)", name):
        if o.option(call.argv[1:], "--preload", "--audit"):
            inquiry.object("exec-unknown", call, "a library would be loaded into a program")
        name = "ld.so"
    wrapper = WRAPPERS[name]
    environment = dict(call.environment)
    at = o.after_options(call.argv, wrapper.valued)
    while at < len(call.argv) and _ASSIGNMENT.match(call.argv[at]) and name not in {"command", "exec"}:
        variable, _, value = call.argv[at].partition("=")
        environment[variable] = value
        at = o.after_options(call.argv, wrapper.valued, start=at + 1)
    at += wrapper.skip
    if name in {"perf", "doppler", "pueue"}:
        at = o.after_options(call.argv, wrapper.valued, start=at)
    if name == "hyperfine":
        for text in [*call.argv[at:], *o.options(call.argv, "-p", "-c", "-s", "--prepare", "--cleanup", "--setup")]:
            inquiry.text(text)
        return HOLE
    if name == "gdb":
        return _debugged(inquiry, call)
    rest = call.argv[at:]
    if name == "setarch" and wrapper.skip and at > 1 and call.argv[at - 1] not in _ARCHITECTURES:
        rest = call.argv[at - 1 :]
    if name == "faketime" and "-f" in call.argv:
        rest = call.argv[at - 1 :]
    if name == "start-stop-daemon":
        program = o.option(call.argv[1:], "-x", "--exec", "-a", "--startas")
        rest = (
            (program or "", *call.argv[call.argv.index("--") + 1 :])
            if "--" in call.argv
            else ((program,) if program else ())
        )
    if name in {"gdb", "strace", "ltrace", "rr", "perf"} and o.option(call.argv[1:], "-p", "--pid") is not None:
        inquiry.object("exec-unknown", call, "another process would be looked into")
        return HOLE
    if name == "dotenv" and rest[:1] in (("list",), ("get",)):
        inquiry.object("secret", call, "secrets would be shown")
        return HOLE
    rest = (
        rest[1:]
        if name in {"dotenv", "dotenvx", "infisical", "teller", "chamber", "op"}
        and rest[:1] in (("run",), ("--",), ("exec",))
        else rest
    )
    rest = rest[1:] if rest[:1] == ("--",) else rest
    before = len(inquiry.found)
    printed = inquiry.argv(call, rest, environment=environment) if rest else HOLE
    if name in _RAISING and len(inquiry.found) == before:
        inquiry.object("outside", call, "the machine's administrator's rights would be used")
    return printed


def _debugged(inquiry: Inquiry, call: Invocation) -> str:
    for text in o.options(call.argv, "-ex", "-iex", "--eval-command"):
        if match := re.match(r"\s*(?:shell|!|make|pipe|python|py)\s*(.*)", text):
            inquiry.text(match.group(1))
    if "--args" in call.argv:
        return inquiry.argv(call, call.argv[call.argv.index("--args") + 1 :])
    return HOLE


def environment(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``env``: alone it prints the environment; ``env -S`` cuts a text into words.
    """
    valued = o.words("-u -C -P --unset --chdir")
    argv = call.argv
    for at, word in enumerate(argv[1:], 1):
        if word.startswith(("-S", "--split-string")) or re.fullmatch(r"-[iv0]+S.*", word):
            text = re.sub(r"^(?:--split-string=?|-[iv0]*S)", "", word)
            following = argv[at + 1 :]
            if not text and following:
                text, following = following[0], following[1:]
            rest = " ".join([text, *(f"'{one}'" for one in following)])
            return inquiry.text(f"env {rest}", stdin=call.stdin)
    variables = dict(call.environment)
    folder = o.option(argv[1:], "-C", "--chdir")
    at = o.after_options(argv, valued)
    while at < len(argv) and (_ASSIGNMENT.match(argv[at]) or argv[at] == "-"):
        name, _, value = argv[at].partition("=")
        variables[name] = value
        at += 1
        at = o.after_options(argv, valued, start=at) if at < len(argv) and argv[at].startswith("-") else at
    if at >= len(argv):
        if not o.has_flag(argv[1:], "i", "--ignore-environment") and "-" not in argv:
            inquiry.object("secret", call, "the whole environment would be shown")
        return HOLE
    cwd = call.cwd
    if folder is not None:
        inquiry.use(folder, call, only_looks=True)
        cwd = tuple(_joined(folder, one) for one in cwd)
    return inquiry.argv(call, argv[at:], environment=variables, cwd=cwd)


def _joined(folder: str, cwd: str) -> str:
    from orchestrd.policy.shell.paths import absolute

    return absolute(folder, cwd) if is_known(folder) and is_known(cwd) else HOLE


def for_each(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``xargs``: a command with what it reads for further arguments.
    """
    valued = o.words("""
        -I -J -R -n -P -d -L -l -s -a -E -i --max-args --max-procs --delimiter --max-lines --arg-file --replace
        --eof --max-chars
    """)
    at = o.after_options(call.argv, valued - {"-i", "-l"})
    template = call.argv[at:] or ("echo",)
    source = o.option(call.argv[1:at], "-a", "--arg-file")
    text = inquiry.content(source) if source else call.stdin
    if source:
        inquiry.use(source, call)
    known = text is not None and is_known(text)
    mark = o.option(call.argv[1:at], "-I", "-J", "--replace") or ("{}" if o.has_flag(call.argv[1:at], "i") else None)
    if mark is not None:
        items = [line.strip() for line in (text or "").splitlines()][:8] if known or (text and text.strip()) else [HOLE]
        printed = ""
        for item in items or [""]:
            printed += inquiry.argv(call, tuple(word.replace(mark, item) for word in template), stdin=None)
        return printed if known else HOLE
    delimiter = "\0" if o.has_flag(call.argv[1:at], "0", "--null") else o.option(call.argv[1:at], "-d", "--delimiter")
    if len(template) > 1 and template[-1] == "-c" and known:
        return inquiry.argv(call, (*template, text or ""), stdin=None)
    if not known and text is not None and text.strip():
        return inquiry.argv(call, (*template, *text.split()[:8]), stdin=None)
    arguments = (
        tuple((text or "").split(delimiter) if delimiter else (text or "").replace("'", "").replace('"', "").split())
        if known
        else (HOLE,)
    )
    return inquiry.argv(call, (*template, *arguments), stdin=None)


def in_parallel(inquiry: Inquiry, call: Invocation) -> str:
    """
    GNU ``parallel``: a command for each argument behind ``:::``, or for each line read; without a command, each is one.
    """
    valued = o.words("""
        -j -P -S -N -n -a -I -d --jobs --max-procs --colsep --delay --joblog --results --tmpdir --timeout
        --retries --arg-file --sshlogin --wd
    """)
    argv = call.argv
    marks = [at for at, word in enumerate(argv) if word in {":::", ":::+", "::::"}]
    end = marks[0] if marks else len(argv)
    begin = min(o.after_options(argv[:end], valued), end)
    template = argv[begin:end]
    if marks and argv[marks[0]] != "::::":
        groups = [argv[a + 1 : b] for a, b in zip(marks, [*marks[1:], len(argv)], strict=True)]
        items: list[tuple[str, ...]] = [(item, *(group[0] for group in groups[1:] if group)) for item in groups[0]][:12]
    elif call.stdin is not None and is_known(call.stdin) and not marks:
        items = [(line,) for line in call.stdin.splitlines()][:12]
    else:
        items = [(HOLE,)]
    for item in items:
        line = " ".join(template)
        if "{" in line:
            line = re.sub(r"\{(?:[./#%]*)\}", lambda _, item=item: " ".join(item), line)
            for at, value in enumerate(item, 1):
                line = re.sub(rf"\{{{at}[./]*\}}", lambda _, value=value: value, line)
        else:
            line = " ".join([*template, *item])
        if "--pipe" in argv or "--pipepart" in argv:
            inquiry.argv(call, template, stdin=call.stdin if call.stdin is not None else HOLE)
        elif not template and not is_known(line):
            inquiry.object("exec-unknown", call, "the commands it would run are only known when it runs")
        else:
            inquiry.text(line)
    return HOLE


def watched(inquiry: Inquiry, call: Invocation) -> str:
    """
    Programs that give their arguments, joined, to a shell: ``watch``, ``su -c``, ``script -c``, ``flock … -c``, ``entr -s``.
    """
    name = call.program
    if name in {"watch", "viddy"}:
        rest = call.argv[o.after_options(call.argv, o.words("-n --interval -q --equexit")) :]
        if len(rest) > 1:
            inquiry.argv(call, rest, stdin=None)
        return inquiry.text(" ".join(rest))
    if name == "entr" and not o.has_flag(call.argv[1:], "s"):
        return inquiry.argv(call, call.argv[o.after_options(call.argv) :], stdin=None)
    text = o.option(call.argv[1:], "-c", "--command", "--session-command") or (
        o.option(call.argv[1:], "-s") if name == "entr" else None
    )
    if text is not None:
        if name == "script":
            _recording(inquiry, call)
        return inquiry.text(text)
    if name == "flock":
        rest = call.argv[o.after_options(call.argv, o.words("-w -E --timeout --conflict-exit-code")) + 1 :]
        if rest[:1] in (("-c",), ("--command",)):
            return inquiry.text(" ".join(rest[1:]))
        return inquiry.argv(call, rest)
    if name in {"runuser", "su"}:
        rest = call.argv[o.after_options(call.argv, o.words("-u -g -G -s -l -w --user --group --shell")) :]
        if "-u" in call.argv or "--" in call.argv:
            return inquiry.argv(call, rest)
        inquiry.object("outside", call, "another user's shell would be opened")
        return HOLE
    if name == "script":
        _recording(inquiry, call)
        rest = call.argv[1:]
        if "--" in rest:
            return inquiry.argv(call, tuple(rest[rest.index("--") + 1 :]))
        if call.stdin is not None:
            return inquiry.argv(call, ("sh",))
    return HOLE


def _recording(inquiry: Inquiry, call: Invocation) -> None:
    for path in o.plain(
        call.argv[1:], o.words("-c --command -E -I -O -B -T -m -o --log-out --log-in --log-io --log-timing")
    ):
        inquiry.use(path, call, writes=True)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(WRAPPERS, wrapped),
    "env": environment,
    "genv": environment,
    "xargs": for_each,
    "gxargs": for_each,
    **o.each("parallel parset", in_parallel),
    **o.each("watch viddy su runuser script flock entr sg newgrp", watched),
}
