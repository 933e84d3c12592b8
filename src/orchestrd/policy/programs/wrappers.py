"""
Programs that run another program, given by their arguments.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.environment import ASSIGNMENT
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE


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
    "bwrap": _w("""
        --bind --ro-bind --dev-bind --symlink --tmpfs --proc --dev --dir --setenv --unsetenv --chdir --hostname --uid
        --gid --cap-drop --cap-add --seccomp --lock-file --file --bind-data --perms
    """),
    "unshare": _w("-S -G -R -w --setuid --setgid --root --wd --map-user --map-group --propagation --setgroups"),
    "nsenter": _w("-t -S -G --target --setuid --setgid"),
    "chroot": _w("--userspec --groups", 1),
    "systemd-run": _w("""
        -p -u -E -M -H --unit --property --description --slice --setenv --uid --gid --working-directory --on-active
        --on-calendar
    """),
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
    "pidstat": _w("-p"),
    "daemonize": _w("-c -e -o -p -l -u"),
    "start-stop-daemon": _w("-x -p -u -g -n -s -d -a --exec --pidfile --user --group --name --chdir --startas"),
}
"""Everything that stands behind their own words is the command."""
_ARCHITECTURES = o.words("""
    x86_64 i386 i486 i586 i686 linux32 linux64 uname26 aarch64 arm armv7l ppc ppc64 s390 s390x amd64
""")
_RAISING = o.words("sudo doas pkexec run0 runas gosu su-exec nsenter chroot setpriv")


_LOADER = re.compile(r"ld[-.](?:linux|musl|so)")
_OWN_WORDS = o.words("perf doppler pueue")
"""Wrappers that have options behind a word of their own."""
_RUNNING = {
    name: frozenset({"run", "exec", "--"}) for name in ("dotenv", "dotenvx", "infisical", "teller", "chamber", "op")
}
"""Wrappers that may be told with a word to run something."""
_TRACERS = o.words("strace ltrace rr perf")


def wrapped(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Follow the command that *call* wraps.
    """
    name, argv = call.program, call.argv
    if name in {"command", "builtin"} and argv[1:2] in (("-v",), ("-V",)):
        return f"/usr/bin/{argv[2]}" if len(argv) > 2 else ""
    if _LOADER.match(name):
        name = "ld.so"
        if o.option(argv[1:], "--preload", "--audit"):
            inquiry.object("exec-unknown", call, "a library would be loaded into a program")
    environment, rest = _behind(call, name)
    if name == "hyperfine":
        for text in [*rest, *o.options(argv, "-p", "-c", "-s", "--prepare", "--cleanup", "--setup")]:
            inquiry.text(text)
        return HOLE
    if name == "gdb":
        return _debugged(inquiry, call)
    if name in _TRACERS and o.option(argv[1:], "-p", "--pid") is not None:
        inquiry.object("exec-unknown", call, "another process would be looked into")
        return HOLE
    if name == "dotenv" and rest[:1] in (("list",), ("get",)):
        inquiry.object("secret", call, "secrets would be shown")
        return HOLE
    if rest and rest[0] in _RUNNING.get(name, ()):
        rest = rest[1:]
    if rest[:1] == ("--",):
        rest = rest[1:]
    before = len(inquiry.found)
    printed = inquiry.argv(call, rest, environment=environment) if rest else HOLE
    if name in _RAISING and len(inquiry.found) == before:
        inquiry.object("outside", call, "the machine's administrator's rights would be used")
    return printed


def _behind(call: Invocation, name: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """
    What stands behind a wrapper's own words: variables, which are added to the environment, and the command.
    """
    argv, wrapper = call.argv, WRAPPERS[name]
    environment = dict(call.environment)
    at = o.after_options(argv, wrapper.valued)
    while at < len(argv) and ASSIGNMENT.match(argv[at]) and name not in {"command", "exec"}:
        variable, _, value = argv[at].partition("=")
        environment[variable] = value
        at = o.after_options(argv, wrapper.valued, start=at + 1)
    given = argv[at : at + 1]
    if (name == "setarch" and given and given[0] not in _ARCHITECTURES) or (name == "faketime" and "-f" in argv):
        return environment, argv[at:]  # its own word is left out
    at += wrapper.skip
    if name in _OWN_WORDS:
        at = o.after_options(argv, wrapper.valued, start=at)
    if name != "start-stop-daemon":
        return environment, argv[at:]
    program = o.option(argv[1:], "-x", "--exec", "-a", "--startas")
    if "--" in argv:
        return environment, (program or "", *argv[argv.index("--") + 1 :])
    return environment, (program,) if program else ()


def _debugged(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``gdb``: commands that leave it, and the program it is given.
    """
    for text in o.options(call.argv, "-ex", "-iex", "--eval-command"):
        if match := re.match(r"\s*(?:shell|!|make|pipe|python|py)\s*(.*)", text):
            inquiry.text(match.group(1))
    if o.option(call.argv[1:], "-p", "--pid") is not None:
        inquiry.object("exec-unknown", call, "another process would be looked into")
    if "--args" in call.argv:
        return inquiry.argv(call, call.argv[call.argv.index("--args") + 1 :])
    return HOLE


HANDLERS: dict[str, Handler] = dict.fromkeys(WRAPPERS, wrapped)
