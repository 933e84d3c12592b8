"""
What is installed or set for the person, or on the machine, by tools that otherwise work in the project.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known


class _Change(NamedTuple):
    """
    The first plain *words* of a subcommand that changes what is the person's: only with one of the options *given*, where there are
    such, and not with one of *unless*; the options *into* say where it goes instead.
    """

    words: re.Pattern[str]
    given: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    into: tuple[str, ...] = ()


def _c(words: str, given: str = "", unless: str = "", into: str = "") -> _Change:
    return _Change(re.compile(rf"(?:{words})(?: |$)"), o.words(given), o.words(unless), tuple(into.split()))


_CHANGES: dict[str, tuple[_Change, ...]] = {
    "pipx": (_c(r"(?:un)?install(?:-all)?|upgrade(?:-all)?|reinstall(?:-all)?|inject|uninject|ensurepath"),),
    "uv": (
        _c("tool (?:install|uninstall|upgrade|update-shell)|self update"),
        _c("python (?:install|uninstall|upgrade|update-shell)", into="--install-dir -i"),
    ),
    "poetry": (_c("self (?:add|remove|update|install|sync)", unless="--dry-run"),),
    "fnm": (_c("install|uninstall|default|alias|unalias"),),
    "mise": (
        _c("use|unuse|set|unset", given="-g --global"),
        _c("settings (?:set|add|unset)|self-update|implode"),
    ),
    "corepack": (
        _c("enable|disable", into="--install-directory"),
        _c("install|prepare", given="-g --global --activate"),
    ),
    "deno": (_c("install|uninstall", given="-g --global", into="--root"), _c("upgrade", unless="--dry-run")),
    "cabal": (
        _c(
            "(?:v[12]-)?install",
            unless="--only-dependencies --dependencies-only --dry-run",
            into="--installdir --bindir --prefix",
        ),
    ),
    "stack": (
        _c("install", into="--local-bin-path"),
        _c("build", given="--copy-bins --copy-compiler-tool", into="--local-bin-path"),
        _c("upgrade"),
    ),
    "raco": (_c("pkg (?:install|update|remove|migrate)", unless="--dry-run"),),
    "mix": (_c(r"(?:archive|escript)\.(?:install|uninstall)"),),
    "nix": (_c("profile (?:install|add|remove|upgrade|rollback)|registry (?:add|remove|pin)", into="--profile"),),
    **o.each(
        "conda mamba",
        (
            _c(
                "config",
                given="--add --set --append --prepend --remove --remove-key",
                unless="--env",
                into="--file",
            ),
        ),
    ),
    **o.each("bundle bundler", (_c(r"config(?! (?:get|list)\b)", given="--global"),)),
    "docker": (_c("context (?:use|create|rm|remove|update|import)"),),
    "az": (_c("account (?:set|clear)|login|logout|config (?:set|unset)|cloud (?:set|register|update)"),),
    "nixos-rebuild": (_c("switch|boot|test"),),
    "darwin-rebuild": (_c("switch|activate"),),
    "home-manager": (_c("switch|expire-generations|remove-generations|uninstall", unless="--dry-run -n"),),
}
"""Program → what of it changes more than the project."""
_ASKS = frozenset({"--help", "-h", "help"})
_LIBRARY = re.compile(
    r"""
    \b(?:install\.packages|update\.packages|remove\.packages|install_(?:github|gitlab|bitbucket|git|cran|version|local)
    |BiocManager::install|pak::(?:pkg_install|pak|pkg_remove))\s*\((?![^)]*\blib\s*=)
    """,
    re.VERBOSE,
)
"""R's calls that change a library which they do not name."""
_CACHED_PREFIX = re.compile(r"(?m)^CMAKE_INSTALL_PREFIX(?::\w+)?=(.*)$|\"name\": \"prefix\", \"value\": \"([^\"]*)\"")
_PREFIX_GIVEN = re.compile(r"(?:(?:-D)?CMAKE_INSTALL_PREFIX(?::\w+)?|--install-prefix)=(.+)")
_CMAKE_KEEPS, _MESON_KEEPS = "CMakeCache.txt", "meson-info/intro-buildoptions.json"
"""Where in a folder that is built in the place to install to is kept."""
_SETUP_PLACES = ("--prefix", "--root", "--home", "--install-base", "--install-lib", "--install-scripts")


def changes(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Subcommands of the project's tools that install something, or set it, for the person.
    """
    argv = call.argv[1 : call.argv.index("--")] if "--" in call.argv else call.argv[1:]
    words, given = " ".join(o.plain(argv)), {word.partition("=")[0] for word in argv}
    if given & _ASKS:
        return None
    for change in _CHANGES[call.program]:
        if not change.words.match(words) or (change.given and not given & change.given) or given & change.unless:
            continue
        places = o.options(argv, *change.into) if change.into else []
        for place in places:
            inquiry.use(place, call, writes=True)
        if not places:
            inquiry.object("outside", call, "what is installed or set for the person would change")
            return HOLE
    return None


def library(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    R's packages go into the person's library, unless renv gives the project one of its own.
    """
    texts = [*o.options(call.argv[1:], "-e", "--eval"), call.stdin or ""]
    installs = call.argv[1:3] in (("CMD", "INSTALL"), ("CMD", "REMOVE")) and not o.option(call.argv, "-l", "--library")
    if (installs or any(map(_LIBRARY.search, texts))) and inquiry.on_disk("renv.lock") is None:
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    return None


def set_up(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``python setup.py install`` goes where ``pip`` would put it: into the project's environment, but for the options that say
    another place.
    """
    if "setup.py" in call.argv[1:2] and {"install", "develop"} & set(call.argv):
        if "--user" in call.argv:
            inquiry.object("outside", call, "what is installed for the person would change")
            return HOLE
        for place in o.options(call.argv[2:], *_SETUP_PLACES):
            inquiry.use(place, call, writes=True)
    return None


def builds(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``cmake``, ``meson`` and ``ninja``: what is installed goes onto the machine, where nobody said another place.
    """
    argv, program = call.argv[1:], call.program
    words = o.plain(argv, o.words("-C -j -k -l -f -B -S -G -D -t --build --install --target --prefix --config"))
    if set(argv) & (_ASKS | {"-n", "--dry-run"}):
        return None
    folder = o.option(argv, "-C") or "."
    if program == "cmake":
        folder = o.option(argv, "--install", "--build") or o.option(argv, "-B") or "."
        installs = "--install" in argv or "install" in o.options(argv, "--target", "-t")
        for word in argv:
            if match := _PREFIX_GIVEN.fullmatch(word):
                inquiry.write(f"{folder}/{_CMAKE_KEEPS}", f"CMAKE_INSTALL_PREFIX={match.group(1)}\n")
    elif program == "meson":
        installs = words[:1] == ["install"]
        given = o.option(argv, "--prefix")
        if given is not None and words[:1] in (["setup"], ["configure"]):
            for built in words[1:2]:
                inquiry.write(f"{built}/{_MESON_KEEPS}", f'"name": "prefix", "value": "{given}"')
    else:
        installs = bool({"install", "install/strip", "install/local"} & set(words))
        if program != "ninja" and _kept(inquiry, folder) is None:
            return None  # a makefile is read, whoever wrote it
    if not installs:
        return None
    place = o.option(argv, "--prefix", "--destdir") or _staged(inquiry, call) or _kept(inquiry, folder)
    if place is None:
        inquiry.object("outside", call, "what is built would be installed on the machine")
        return HOLE
    inquiry.use(place, call, writes=True)
    return None


def _staged(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    The folder that an installation takes for the machine's root.
    """
    for word in call.argv[1:]:
        if word.startswith("DESTDIR="):
            return word.removeprefix("DESTDIR=")
    if "DESTDIR" in call.environment or inquiry.state.is_unknown("DESTDIR"):
        return call.environment.get("DESTDIR")
    return inquiry.state.value("DESTDIR")[-1]


def _kept(inquiry: Inquiry, folder: str) -> str | None:
    """
    Where what is built in *folder* would be installed, as far as that is kept there.
    """
    for name in (_CMAKE_KEEPS, _MESON_KEEPS):
        text = inquiry.content(f"{folder}/{name}")
        if is_known(text) and (match := _CACHED_PREFIX.search(text)) is not None:
            return match.group(1) or match.group(2)
    return None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_CHANGES, changes),
    **o.each("Rscript R r", library),
    **o.each("python python3", set_up),
    **o.each("cmake meson ninja make gmake", builds),
}
