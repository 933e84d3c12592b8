"""
The files that say what task runners, build tools and test tools run, where they were only just written.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.shell.invocation import Invocation

_TASK_FILES: dict[str, tuple[str, ...]] = {
    **o.each("inv invoke", ("tasks.py",)),
    "fab": ("fabfile.py",),
    "doit": ("dodo.py",),
    "nox": ("noxfile.py",),
    "tox": ("tox.ini", "pyproject.toml"),
    **o.each("build pyproject-build", ("setup.py",)),
    "scons": ("SConstruct", "SConscript"),
    "waf": ("wscript",),
    "direnv": (".envrc",),
    **o.each("task go-task", ("Taskfile.yml", "Taskfile.yaml")),
    **o.each("poe poethepoet taskipy pdm hatch rye pixi", ("pyproject.toml", "pixi.toml", "hatch.toml")),
    **o.each("pytest py.test", ("conftest.py", "tests/conftest.py", "test/conftest.py")),
    "mise": ("mise.toml", ".mise.toml"),
    "deno": ("deno.json", "deno.jsonc"),
    **o.each("foreman honcho overmind hivemind goreman", ("Procfile", "Procfile.dev")),
    **o.each("pre-commit prek", (".pre-commit-config.yaml",)),
    "lefthook": ("lefthook.yml", "lefthook.yaml"),
    "lint-staged": (".lintstagedrc", ".lintstagedrc.json", "lint-staged.config.js", "package.json"),
    "cargo": (".cargo/config.toml", ".cargo/config"),
    **o.each("cmake ctest", ("CMakeLists.txt",)),
    "ninja": ("build.ninja",),
    "meson": ("meson.build",),
    **o.each("gradle gradlew", ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")),
    **o.each("mvn mvnw", ("pom.xml",)),
    "mage": ("magefile.go",),
    "earthly": ("Earthfile",),
    "composer": ("composer.json",),
    **o.each("turbo nx lerna lage rush wireit", ("package.json",)),
    "gulp": ("gulpfile.js", "gulpfile.mjs", "gulpfile.ts"),
    "grunt": ("Gruntfile.js", "Gruntfile.cjs"),
    "jake": ("Jakefile", "Jakefile.js"),
    "karma": ("karma.conf.js",),
    **{
        program: tuple(f"{program}.config.{ending}" for ending in ("js", "cjs", "mjs", "ts", "mts"))
        for program in o.words("""
            vite vitest jest eslint webpack rollup playwright next nuxt astro svelte-kit tailwindcss prettier babel
            cypress tsup commitlint stylelint
        """)
    },
}
"""Program to the files that say what it runs."""
_LANGUAGES = {
    **o.each(".py SConstruct SConscript wscript", "python"),
    **o.each(".js .cjs .mjs .ts .mts Jakefile", "node"),
    ".go": "other",
}
"""By how the name of such a file ends: the others are data, in which commands stand as lines and as strings."""
_MANIFESTS = frozenset(
    {"pyproject.toml", "composer.json", "deno.json", "deno.jsonc", "package.json", "mise.toml", ".mise.toml"}
)
"""Those in which much else stands that an agent changes: of one that was there before, only the task that is named is read."""
_VERBS = o.words("run run-script task exec start -- -e -s")
_HOOK = re.compile(r"^(?:pre|post)[_:-]?")
_NAMES = r"(?:git|rm|sh|bash|psql|alembic|curl|wget|cat|mv|cp|python3?|node|gh|sudo|ssh|scp|rsync|npx|npm|dropdb|mysql|shred)\b"
_LINE = re.compile(
    rf"(?m)^[^\S\n]*(?:-\s+)?(?:(?:[\w.-]+\s*[:=]|[A-Z]+\b)[^\S\n]*)?(['\"]?{_NAMES}(?!['\"]?\s*[:=]).*)$"
)
_STRING = re.compile(rf"(['\"])((?:{_NAMES}[ \t]|\./[\w./-]+\.sh\b)[^'\"\n]*)\1")
_LISTED = re.compile(rf"['\"]({_NAMES})['\"]((?:\s*,\s*['\"][^'\"\n]*['\"])+)")
_FLOW = re.compile(r"([\w-]+)\s*:\s*\[([^\[\]\n]*)\]")
_MAPPED = re.compile(r"\{[^{}\n]*\bcmd\s*:\s*([^,}\n]+)")
_ITEM = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|[^,'\"\n]+")
_NAMED = re.compile(_NAMES)
_COMMANDED = re.compile(rf"\bCOMMAND\s+({_NAMES}[^)\n]*)")


def task_sources(inquiry: Inquiry, call: Invocation) -> None:
    """
    The files that say what a task runner runs, where they were only just written.
    """
    for name in _TASK_FILES.get(call.program, ()):
        path = next(iter(inquiry.written("conftest.py")), name) if name.endswith("conftest.py") else name
        if not inquiry.is_fresh(path):
            continue
        text = inquiry.content(path)
        if path in _MANIFESTS and not inquiry.is_made(path):
            text = "\n".join(_named(text, path, call.argv[1:]))
        language = next((language for ending, language in _LANGUAGES.items() if path.endswith(ending)), None)
        if language is not None:
            inquiry.code(call, language, text)
        inquiry.spend(len(text) / 400)
        for command in commands_in(text):
            inquiry.text(command)


def _named(text: str, path: str, names: Sequence[str]) -> Iterator[str]:
    """
    What the manifest *text* says of the tasks of these *names*; of one that cannot be read, all.
    """
    try:
        whole = tomllib.loads(text) if path.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    asked = set(names) - _VERBS
    waiting: list[tuple[object, bool]] = [(whole, False)]
    while waiting:
        value, wanted = waiting.pop()
        if isinstance(value, dict):
            waiting += [
                (one, wanted or (isinstance(one, str | list | dict) and _HOOK.sub("", key) in asked))
                for key, one in value.items()
            ]
        elif isinstance(value, list):
            waiting += [(one, wanted) for one in value]
        elif wanted and isinstance(value, str):
            yield value


def flow_items(text: str, keys: Collection[str] = ()) -> list[str]:
    """
    What stands in YAML's lists of one line, those of these *keys* or all, and in its mappings: ``cmds: [make, 'make test']``,
    ``{cmd: make}``.
    """
    found = [item for key, line in _FLOW.findall(text) if not keys or key in keys for item in _ITEM.findall(line)]
    return [item.strip().strip("'\"") for item in [*found, *_MAPPED.findall(text)] if item.strip()]


def commands_in(text: str) -> list[str]:
    """
    The commands that stand in a *text* as lines, values, strings and lists of words.
    """
    found = [line.strip().strip("'\"") for line in _LINE.findall(text)]
    found += [command for _, command in _STRING.findall(text)]
    found += [" ".join([name, *re.findall(r"['\"]([^'\"\n]*)['\"]", rest)]) for name, rest in _LISTED.findall(text)]
    found += [item for item in flow_items(text) if _NAMED.match(item)]
    return [*found, *_COMMANDED.findall(text)]
