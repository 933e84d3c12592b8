"""
Programs that empty a folder, or put another file in the place of one, when they are told to: what they delete is judged as by ``rm``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deleting import clear
from orchestrd.policy.shell.invocation import Invocation


class _Empties(NamedTuple):
    """
    The *options* that name what is emptied, where all of *told* are among the arguments.
    """

    options: tuple[str, ...]
    told: frozenset[str] = frozenset()


_TABLE: dict[str, _Empties] = {
    # pytest removes what is there before it begins.
    **o.each("pytest py.test", _Empties(("--basetemp",))),
    "coverage": _Empties(("--data-file",), o.words("erase")),
    "cargo": _Empties(("--target-dir",), o.words("clean")),
    "vite": _Empties(("--outDir",), o.words("--emptyOutDir")),
    "playwright": _Empties(("--output",)),
    "typedoc": _Empties(("--out",)),
    "tsup": _Empties(("--out-dir", "-d"), o.words("--clean")),
    "webpack": _Empties(("--output-path", "-o"), o.words("--output-clean")),
    "hugo": _Empties(("--destination", "-d"), o.words("--cleanDestinationDir")),
    "mkdocs": _Empties(("--site-dir", "-d"), o.words("build")),
    **o.each("ng docusaurus astro", _Empties(("--output-path", "--out-dir", "--outDir"), o.words("build"))),
}
_ADDED = {"pytest": "PYTEST_ADDOPTS", "py.test": "PYTEST_ADDOPTS"}
"""Variables with more arguments."""
_GOALS = o.words("clean")
_BUILD_FOLDER = re.compile(r"-D(?:project\.build\.directory|buildDirectory)=(.+)|-P(?:buildDir)=(.+)")


def by_option(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    A folder that an option names is emptied first.
    """
    entry = _TABLE[call.program]
    added = call.environment.get(_ADDED.get(call.program, ""), "").split()
    argv = (*call.argv[1:], *added)
    if entry.told <= set(argv):
        for path in o.options(argv, *entry.options):
            clear(inquiry, call, path)
    return None


def made_anew(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``python -m venv --clear DIR``, ``virtualenv --clear DIR``, ``uv venv --clear DIR``.
    """
    if "--clear" in call.argv:
        words = o.plain(call.argv[1:], o.words("--prompt -p --python --system-site-packages"))
        for path in words[1:] if words[:1] == ["venv"] else words:
            clear(inquiry, call, path)
    return None


def cleaned_by_goal(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Maven and Gradle clean the folder that they are told is theirs.
    """
    if not _GOALS.isdisjoint(call.argv):
        for word in call.argv[1:]:
            if match := _BUILD_FOLDER.fullmatch(word):
                clear(inquiry, call, match.group(1) or match.group(2))
    return None


def generators(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``rails destroy model User`` takes back what ``generate`` made.
    """
    if call.argv[1:2] in (("destroy",), ("d",)):
        inquiry.object("delete", call, "what was generated would be deleted")
    return None


def tidies(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``systemd-tmpfiles``: the machine's temporary files, by rules in a file.
    """
    if not {"--remove", "--clean", "--purge", "--create"}.isdisjoint(call.argv):
        inquiry.object("outside", call, "files of the machine would be deleted or made")
    return None


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_TABLE, by_option),
    **o.each("venv virtualenv uv", made_anew),
    **o.each("mvn mvnw mvnd gradle gradlew", cleaned_by_goal),
    "rails": generators,
    "systemd-tmpfiles": tidies,
}
