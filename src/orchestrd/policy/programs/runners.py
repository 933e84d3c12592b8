"""
Package managers, task runners and build tools: the program or the script of the project that they run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.migrations import is_migrating_target, running
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.nodes import Unreadable

_EXECUTORS: dict[str, tuple[str, frozenset[str]]] = {
    # program -> its words before a command, its options that take a value
    "npx": ("", o.words("-p --package -w --workspace --node-options")),
    "pnpx": ("", frozenset()),
    "bunx": ("", frozenset()),
    "uvx": ("", o.words("--from --with --python -p --index-url")),
    "pipx": ("run", o.words("--spec --python --index-url --pip-args")),
    "bundle": ("exec", frozenset()),
    "bundler": ("exec", frozenset()),
    "poetry": ("run", o.words("-C --directory -P --project")),
    "pipenv": ("run", frozenset()),
    "pdm": ("run", o.words("-p --project")),
    "hatch": ("run", o.words("-e --env")),
    "rye": ("run", frozenset()),
    "uv": (
        "run",
        o.words("""
            --with --python -p --extra --group --env-file --directory --project --package --index-url
            --only-group
        """),
    ),
    "guix": ("shell environment", frozenset()),
    "pixi": ("run", o.words("-e --environment --manifest-path")),
    "conda": ("run", o.words("-n --name -p --prefix --cwd")),
    "mamba": ("run", o.words("-n --name -p --prefix")),
    "micromamba": ("run", o.words("-n --name -p --prefix")),
    "nix": ("run develop shell", o.words("-c --command -f")),
    "nix-shell": ("", frozenset()),
    "devbox": ("run", o.words("-c --config -e --env")),
    "devenv": ("shell", frozenset()),
    "direnv": ("exec", frozenset()),
    "asdf": ("exec", frozenset()),
    "rbenv": ("exec", frozenset()),
    "pyenv": ("exec", frozenset()),
    "nvm": ("exec run", frozenset()),
    "fnm": ("exec", o.words("--using")),
    "volta": ("run", o.words("--node --npm --yarn")),
    "opam": ("exec", frozenset()),
    "dune": ("exec", o.words("--root --profile")),
    "stack": ("exec", o.words("--package")),
    "cabal": ("exec run", frozenset()),
    "esy": ("", frozenset()),
    "dotnet": ("exec tool", frozenset()),
    "vagrant": ("ssh", o.words("-c --command")),
    "lando": ("", frozenset()),
    "ddev": ("exec", o.words("-s --service -d --dir")),
    "sail": ("", frozenset()),
    "spring": ("", frozenset()),
    "foreman": ("run", o.words("-e --env -f")),
    "honcho": ("run", o.words("-e --env -f")),
    "dip": ("", frozenset()),
    "wp-env": ("run", frozenset()),
    "with-env": ("", frozenset()),
    "corepack": ("", frozenset()),
    "nodenv": ("exec", frozenset()),
    "pkgx": ("", frozenset()),
    "shx": ("", frozenset()),
    "doppler-run": ("run", frozenset()),
}
_JS_MANAGERS = o.words("npm yarn pnpm bun cnpm ni nr")
_JS_VALUED = o.words("""
    --prefix -C --filter -F -w --workspace --cwd --dir --scope --userconfig --registry --loglevel --tag -p
    --package
""")
_JS_OWN = o.words("""
    add rm remove uninstall un install i ci up update upgrade link unlink create version publish why list ls
    info config cache pack audit outdated prune sync login logout view show search help root prefix bin whoami
    ping doctor dedupe fund explain rebuild set get init workspaces plugin dist-tag deprecate owner team token
    import fetch store patch global licenses completion docs repo bugs home explore adduser unpublish
""")
_GLOBAL = re.compile(r"^(?:-g|--global|--location=global)$")
_MAKES = o.words("make gmake bmake nmake remake mingw32-make colormake")
_TASKS: dict[str, tuple[str, frozenset[str]]] = {
    # program -> words before a target, options that take a value
    **o.each("just j", ("", o.words("-f --justfile -d --working-directory --set --dotenv-path --shell"))),
    **o.each("task go-task", ("", o.words("-t --taskfile -d --dir -o --output"))),
    **o.each(
        """
        invoke inv fab doit duty poe poethepoet taskipy
        """,
        ("", o.words("-c --collection -r --search-root -f --file -H")),
    ),
    **o.each("tox nox", ("", o.words("-e -s -c -f --session --sessions -p --python"))),
    **o.each(
        """
        gulp grunt jake wireit wsrun ultra redo run-s run-p npm-run-all npm-run-all2 concurrently zx-run
        """,
        ("", o.words("-f --gulpfile --cwd --tasks -n --names -c -k")),
    ),
    **o.each(
        """
        nx turbo moon lage rush lerna wsrun
        """,
        ("run exec run-many", o.words("-t --target --targets --projects -p --filter --scope --configuration -c")),
    ),
    **o.each("composer", ("run-script run exec", o.words("-d --working-dir"))),
    **o.each(
        """
        gradle gradlew mvn mvnw mvnd ant sbt lein bazel bazelisk buck pants please mill boot rebar3 zig
        swift-build xcodebuild fastlane earthly dagger mage goyek ninja meson scons waf cmake rake-task bun-task
        pyinvoke mask run robo phing tusk cargo-make makers xtask
        """,
        ("run", o.words("-p -f --file -C --project-dir -b -D")),
    ),
}
_MANY = o.words("""
    gradle gradlew mvn mvnw mvnd ant gulp grunt inv invoke fab doit tox nox turbo nx jake sbt lage phing poe
    rush ninja just
""")
"""Runners of which every word may be a target."""
_TARGET_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "git",
        re.compile(
            r"""
            (?:[\w@/.-]*[:_./-])?(?:git[:_-])?(?:commit|push|git-push|tag-release|release(?::(?:patch|minor|major
            |publish|tag|prod))?|publish(?::\w+)?|gh-pages|deploy[:_-]?(?:docs|gh-pages|pages)|version[:_-](?:patch
            |minor|major)|bump(?:[:_-]?version)?|changeset[:_-](?:version|publish))
            """,
            re.VERBOSE,
        ),
        "commits, tags, pushes or publishes, by its name",
    ),
)
_MAX_TARGETS = 40


def execute(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``npx``, ``poetry run``, ``bundle exec`` and their like: the command behind them.
    """
    before, valued = _EXECUTORS[call.program]
    argv = call.argv
    task_sources(inquiry, call)
    for text in (
        o.options(argv[1:], "-c", "--call", "--run", "--command")
        if call.program in {"npx", "nix-shell", "nix", "vagrant"}
        else []
    ):
        inquiry.text(text if call.program != "nix" else " ".join(argv[argv.index(text) :]))
    if call.program == "nix" and "--" in argv and (named := next((word for word in argv if "#" in word), None)):
        return inquiry.argv(call, (named.partition("#")[2].rsplit(".", 1)[-1], *argv[argv.index("--") + 1 :]))
    if call.program in {"guix", "nix"} and "--" in argv:
        return inquiry.argv(call, argv[argv.index("--") + 1 :])
    at = o.after_options(argv, valued)
    if before:
        if at >= len(argv) or argv[at] not in before.split():
            return None
        verb = argv[at]
        at = o.after_options(argv, valued, start=at + 1)
        if call.program == "dotnet" and verb == "tool":
            return None
        if call.program in {"uv", "uvx"} and verb == "run" and ("-m" in argv[:at] or "--module" in argv[:at]):
            return inquiry.argv(call, ("python", "-m", *argv[at:]))
        if call.program in {"direnv", "asdf"} and call.program == "direnv":
            at += 1
    rest = argv[at:]
    if not rest:
        return None
    if call.program == "nix" and "#" in rest[0]:
        rest = (rest[0].partition("#")[2].rsplit(".", 1)[-1], *(rest[2:] if rest[1:2] == ("--",) else rest[1:]))
    if call.program in {"npx", "pnpx", "bunx", "uvx", "pipx", "pkgx"}:
        rest = (_package(rest[0]), *rest[1:])
    if call.program == "hatch" and ":" in rest[0]:
        rest = (rest[0].partition(":")[2], *rest[1:])
    if rest[0].endswith((".py",)) and call.program in {"uv", "rye", "pdm", "poetry", "pipenv", "hatch"}:
        rest = ("python", *rest)
    if call.program in o.words("pdm poetry pixi rye hatch pipenv devbox") and is_migrating_target(rest[0]):
        inquiry.object("db", call, f"`{rest[0]}` runs migrations or changes a database, by its name")
    return inquiry.argv(call, rest)


def _package(name: str) -> str:
    """
    The program that a package is named after: ``@scope/cli@1.2`` → ``cli``.
    """
    known = {
        "@railway/cli": "railway",
        "@anthropic-ai/claude-code": "claude",
        "@openai/codex": "codex",
        "@google/gemini-cli": "gemini",
        "@changesets/cli": "changeset",
        "@redwoodjs/cli": "rw",
        "@mikro-orm/cli": "mikro-orm",
        "@sanity/cli": "sanity",
        "czg": "cz",
        "git-cz": "cz",
        "prisma": "prisma",
        "@supabase/cli": "supabase",
        "del-cli": "del-cli",
        "trash-cli": "trash",
        "@stripe/cli": "stripe",
        "auto": "auto",
        "gh-pages": "gh-pages",
    }
    bare = re.sub(r"(?<=.)@[^/]*$", "", name)
    return known.get(bare, bare.rsplit("/", 1)[-1])


def javascript(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Npm and its like: scripts of the package, programs of its packages, and what they do by themselves.
    """
    argv = call.argv
    if (shell := o.option(argv[1:], "--script-shell", "--node-options")) is not None:
        inquiry.object("exec-unknown", call, f"`{shell}` would run the package's scripts")
        return HOLE
    at = o.after_options(argv, _JS_VALUED)
    folder = o.option(argv[1:], "--prefix", "-C", "--cwd", "--dir")
    cwd = call.cwd
    if (folder is not None and call.program != "yarn") or (folder is not None and "--cwd" in argv):
        inquiry.use(folder or "", call, only_looks=True)
    if at >= len(argv):
        return HOLE
    verb = argv[at]
    if call.program == "yarn" and verb == "workspace":
        at = o.after_options(argv, _JS_VALUED, start=at + 2)
        verb = argv[at] if at < len(argv) else ""
    if call.program == "yarn" and verb == "workspaces" and argv[at + 1 : at + 2] in (("foreach",), ("run",)):
        at = o.after_options(argv, _JS_VALUED, start=at + 2)
        verb = argv[at] if at < len(argv) else ""
    if any(_GLOBAL.match(word) for word in argv[1:]) or (call.program == "yarn" and verb == "global"):
        if set(argv[1:]) & o.words("install i add remove rm uninstall update up link un upgrade ci"):
            inquiry.object("outside", call, "what is installed on the machine would change")
        return HOLE
    if call.program == "bun" and verb == "exec":
        return inquiry.text(" ".join(argv[at + 1 :]))
    if verb in {"exec", "dlx", "x", "create", "init"} or (call.program in {"npm", "pnpm", "bun"} and verb == "x"):
        after = o.after_options(argv, _JS_VALUED, start=at + 1)
        for text in o.options(argv[at:], "-c", "--call"):
            inquiry.text(text)
        rest = argv[after:]
        if verb in {"create", "init"}:
            return HOLE
        return inquiry.argv(call, (_package(rest[0]), *rest[1:]), cwd=cwd) if rest else HOLE
    if verb in {"run", "run-script", "rum", "urn"}:
        after = o.after_options(argv, _JS_VALUED, start=at + 1)
        names = argv[after : after + 1]
        rest = argv[after + 1 :]
        if call.program == "bun" and names and names[0].endswith((".ts", ".js", ".tsx", ".mjs")):
            return inquiry.argv(call, ("node", *names, *rest))
        return _package_script(inquiry, call, names[0], rest, folder) if names else HOLE
    if verb in {"test", "t", "tst", "start", "stop", "restart"}:
        return _package_script(inquiry, call, {"t": "test", "tst": "test"}.get(verb, verb), argv[at + 1 :], folder)
    if verb in o.words("publish unpublish deprecate owner team dist-tag adduser login access"):
        if "--dry-run" not in argv and not (
            verb in {"dist-tag", "owner", "access", "team"} and argv[at + 1 : at + 2] in (("ls",), ("list",))
        ):
            inquiry.object("git", call, "a package would be published or changed at its registry")
        return HOLE
    if verb == "version" and call.program in {"npm", "pnpm", "yarn", "bun"}:
        rest = o.plain(argv[at + 1 :], o.words("-m --message --preid"))
        if (
            (rest or (call.program == "yarn" and len(argv) > at + 1))
            and "--no-git-tag-version" not in argv
            and argv[at + 1 : at + 2] != ("check",)
        ):
            inquiry.object("git", call, f"`{call.program} version` commits and tags")
        return HOLE
    if (
        verb in {"config", "set", "c"} and argv[at + 1 : at + 2] in (("set",), ("delete",), ("edit",))
    ) or verb == "set":
        if not o.has_flag(argv, "", "--location=project"):
            inquiry.object("outside", call, "the person's settings would change")
        return HOLE
    if verb == "pkg" and argv[at + 1 : at + 2] == ("set",):
        for word in argv[at + 2 :]:
            if word.startswith("scripts."):
                inquiry.text(word.partition("=")[2])
        return HOLE
    if verb == "link" or verb == "unlink":
        if call.program == "npm" and not o.plain(argv[at + 1 :]):
            inquiry.object("outside", call, "what is installed for the person would change")
        for word in o.plain(argv[at + 1 :]):
            inquiry.use(word, call) if word.startswith((".", "/", "~")) else None
        return HOLE
    for path in o.options(argv, "--pack-destination"):
        inquiry.use(path, call, writes=True)
    if verb in {"install", "i", "add", "ci"}:
        for word in o.plain(argv[at + 1 :], _JS_VALUED):
            if re.match(r"(?:file:|link:)?(?:\.\./|/|~)", word):
                inquiry.use(re.sub(r"^(?:file|link):", "", word), call)
        return HOLE
    if verb in o.words("prune uninstall remove rm un up update upgrade") or verb in _JS_OWN:
        return HOLE
    if call.program == "bun" and re.search(r"\.[cm]?[jt]sx?$", verb):
        return None
    if (call.program == "bun" and verb in {"test", "build", "repl"}) or verb.startswith("-"):
        return HOLE
    if call.program in {"yarn", "pnpm", "bun", "nr"}:
        known = _package_json(inquiry, call, folder)
        if known is not None and verb in known:
            return _package_script(inquiry, call, verb, argv[at + 1 :], folder)
        if is_migrating_target(verb):
            return _package_script(inquiry, call, verb, argv[at + 1 :], folder)
        return inquiry.argv(call, (_package(verb), *argv[at + 1 :]), cwd=cwd)
    return HOLE


def _package_json(inquiry: Inquiry, call: Invocation, folder: str | None) -> dict[str, str] | None:
    text = inquiry.content(f"{folder}/package.json" if folder else "package.json")
    if not is_known(text):
        return None
    try:
        scripts = json.loads(text).get("scripts", {})
    except (ValueError, AttributeError):
        return None
    return (
        {name: line for name, line in scripts.items() if isinstance(line, str)} if isinstance(scripts, dict) else None
    )


def _package_script(inquiry: Inquiry, call: Invocation, name: str, rest: tuple[str, ...], folder: str | None) -> str:
    scripts = _package_json(inquiry, call, folder)
    _judge_name(inquiry, call, name)
    if not scripts or name not in scripts:
        arguments_ = tuple(word for word in rest if word != "--")
        if arguments_ and running(name, arguments_) is not None:
            return inquiry.argv(call, (name, *arguments_))
        return HOLE
    ours = not inquiry.is_new(f"{folder}/package.json" if folder else "package.json")
    arguments = " ".join("'" + word.replace("'", "'\\''") + "'" for word in rest if word != "--")
    for one in (f"pre{name}", name, f"post{name}"):
        if one in scripts:
            _follow(inquiry, scripts[one] + (" " + arguments if one == name and arguments else ""), ours=ours)
    return HOLE


def _follow(inquiry: Inquiry, text: str, *, ours: bool) -> None:
    inquiry.trusted += ours
    try:
        inquiry.text(text)
    except Unreadable:
        if not ours:
            raise
    finally:
        inquiry.trusted -= ours


def _judge_name(inquiry: Inquiry, call: Invocation, name: str) -> None:
    """
    A target whose name says that it does what is forbidden.
    """
    if is_migrating_target(name):
        inquiry.object("db", call, f"`{name}` runs migrations or changes a database, by its name")
        return
    for rule, pattern, why in _TARGET_RULES:
        if pattern.fullmatch(name):
            inquiry.object(rule, call, f"`{name}` {why}")  # type: ignore[arg-type]


def make(inquiry: Inquiry, call: Invocation) -> str:
    """
    ``make``: its targets' recipes, where the makefile can be read.
    """
    argv = call.argv[1:]
    valued = o.words("""
        -C --directory -f --file --makefile -j -I -o -W -l --eval --old-file --new-file --include-dir
        --load-average
    """)
    folder = o.option(argv, "-C", "--directory")
    if folder is not None:
        inquiry.use(folder, call, only_looks=True)
    for text in o.options(argv, "--eval", "-E"):
        _recipes(inquiry, call, text.replace(";", "\n\t", 1) if "\n" not in text else text, None, ours=False)
    targets = [word for word in o.plain(argv, valued) if "=" not in word]
    file = o.option(argv, "-f", "--file", "--makefile")
    if set(argv) & o.words("-n --dry-run --just-print --recon -q --question -v --version -h --help -p") and not (
        file == "-"
    ):
        return HOLE
    for word in argv:
        name, sign, value = word.partition("=")
        if sign and name.lower() in {"destdir", "prefix", "bindir", "libdir"}:
            inquiry.use(value, call, writes=True)
        if sign and name in {"SHELL", ".SHELLFLAGS"}:
            inquiry.object("exec-unknown", call, "make would run its recipes with another program")
        elif sign and re.search(r"[;|&`]|\$\(", value):
            for part in (value, re.sub(r"^[^;|&]*[;|&]+", "", value)):
                try:
                    inquiry.text(part)
                except Unreadable:
                    continue
    if file is not None and not is_known(file):
        inquiry.object("exec-unknown", call, "which makefile it would run is only known when it runs")
        return HOLE
    if file == "-" or file == "/dev/stdin":
        text = call.stdin or ""
        if not is_known(text):
            inquiry.object("exec-unknown", call, "make would run what another program prints")
            return HOLE
        _recipes(inquiry, call, text, targets, ours=False)
        return HOLE
    for target in targets:
        _judge_name(inquiry, call, target)
    names = [file] if file else ["GNUmakefile", "makefile", "Makefile"]
    if file:
        inquiry.use(file, call)
    for name in names:
        path = f"{folder}/{name}" if folder else name
        text = inquiry.content(path)
        if is_known(text):
            _recipes(inquiry, call, text, targets, ours=not inquiry.is_new(path))
            break
        if inquiry.is_new(path):
            inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
            break
    return HOLE


def _recipes(inquiry: Inquiry, call: Invocation, text: str, targets: list[str] | None, *, ours: bool) -> None:
    """
    Follow the recipes of *targets* and of what they need; of None or no target, those of the first, or of all.
    """
    rules: dict[str, tuple[list[str], list[str]]] = {}
    variables: dict[str, str] = {}
    current: list[str] = []
    order: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            for name in current:
                rules[name][1].append(line[1:])
        elif match := re.match(r"(?:export\s+|override\s+)?([\w.-]+)\s*(?:::?:?|\?|\+|!)?=\s*(.*)", line):
            variables[match.group(1)] = match.group(2).strip()
            if "$(shell" in match.group(2):
                for inner in re.findall(r"\$\(shell\s+([^()]*(?:\([^()]*\)[^()]*)*)\)", match.group(2)):
                    _follow(inquiry, inner, ours=ours)
            current = []
        elif match := re.match(r"([^\s:#=][^:#=]*?)\s*::?(?!=)\s*([^;#]*)(?:;\s*(.*))?", line):
            current = match.group(1).split()
            for name in current:
                needs, lines = rules.setdefault(name, ([], []))
                needs += [one for one in match.group(2).split() if one != "|"]
                if match.group(3):
                    lines.append(match.group(3))
                if not name.startswith("."):
                    order.append(name)
        elif line.strip():
            current = []
    wanted = targets or order[:1]
    seen: set[str] = set()
    queue = list(wanted)
    while queue and len(seen) < _MAX_TARGETS:
        name = queue.pop(0)
        if name in seen or name not in rules:
            continue
        seen.add(name)
        needs, lines = rules[name]
        queue += needs
        script = "\n".join(_expanded(line, variables, name, needs).lstrip("@-+ ") for line in lines)
        if script.strip():
            _follow(inquiry, script, ours=ours)


def _expanded(line: str, variables: dict[str, str], target: str, needs: list[str]) -> str:
    automatic = {"@": target, "<": needs[0] if needs else "", "^": " ".join(needs), "*": target}
    for _ in range(4):
        before = line
        line = re.sub(
            r"\$[({]([\w.-]+)[)}]",
            lambda match: variables.get(
                match.group(1),
                automatic.get(
                    match.group(1),
                    {"MAKE": "make", "RM": "rm -f", "CURDIR": ".", "PYTHON": "python", "CC": "cc", "SHELL": "sh"}.get(
                        match.group(1), "$" + match.group(1)
                    ),
                ),
            ),
            line,
        )
        if line == before:
            break
    line = re.sub(r"\$([@<^*?+])", lambda match: automatic.get(match.group(1), ""), line)
    line = re.sub(r"\$\((?:shell\s+)([^()]*)\)", r"$$(\1)", line)
    return line.replace("$$", "$")


def _bare(call: Invocation) -> str:
    """
    The name under which the table has a program: ``just-1.36`` is ``just``.
    """
    return call.program if call.program in _TASKS else re.sub(r"-?\d[\d.]*$", "", call.program)


def task(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Task runners: targets by name, with their recipes where those are plain.
    """
    before, valued = _TASKS[_bare(call)]
    task_sources(inquiry, call)
    words = o.plain(call.argv[1:], valued)
    for value in o.options(call.argv[1:], "-e", "-s", "--session", "-t", "--target"):
        words += value.split(",") if call.program in {"tox", "nox", "nx"} else []
    if set(call.argv[1:]) & o.words("--list -l --summary --help --version -n --dry-run --show --dry"):
        return None
    for text in o.options(call.argv[1:], "--wrapper", "--run_under", "--launcher", "--test-wrapper"):
        inquiry.text(text)
    for path in o.options(call.argv[1:], "-C", "-d", "--dir", "--project-dir", "--cwd", "--working-directory"):
        inquiry.use(path, call, only_looks=True)
    if call.program in {"npm-run-all", "run-s", "run-p", "concurrently", "npm-run-all2"}:
        for word in words:
            if " " in word:
                inquiry.text(word)
            else:
                _package_script(inquiry, call, word.removeprefix("npm:"), (), None)
        return HOLE
    if before and words and words[0] in before.split():
        verb = words.pop(0)
        if verb == "exec" and words:
            at = call.argv.index(words[0])
            rest = call.argv[at:] if words[0] != "--" else call.argv[at + 1 :]
            return inquiry.argv(call, rest) if " " not in rest[0] else inquiry.text(rest[0])
    for word in words[: 8 if call.program in _MANY else 1]:
        name = (
            word.rpartition(":")[2]
            if call.program in {"nx", "turbo", "moon"} and not is_migrating_target(word)
            else word
        )
        _judge_name(inquiry, call, name.removeprefix("//").lstrip("@"))
    if call.program in {"mvn", "mvnw", "mvnd", "gradle", "gradlew", "sbt"}:
        return _jvm(inquiry, call, words)
    if call.program in {"just", "j"}:
        _justfile(inquiry, call, words)
    elif call.program in {"task", "go-task"}:
        _taskfile(inquiry, call, words)
    elif call.program == "composer":
        return _composer(inquiry, call, words)
    elif call.program == "nx" or call.program == "turbo":
        return HOLE if "--" not in call.argv else None
    return None


def _jvm(inquiry: Inquiry, call: Invocation, words: list[str]) -> str | None:
    for word in words:
        if re.search(
            r"(?:^|:)(?:liquibase|flyway)[:\w.-]*[:](?:update\w*|migrate|clean|undo|repair|baseline|rollback\w*|dropAll|drop-all)$|^(?:flyway(?:Migrate|Clean|Undo|Repair|Baseline)|(?:liquibase)?(?:[uU]pdate|[rR]ollback|[dD]ropAll)\w*|migrateDb|dbMigrate|jooq-migrate|mybatis:(?:up|down))$",
            word,
        ) and not re.search(r"SQL$|status|validate|info", word):
            inquiry.object("db", call, f"`{word}` runs migrations or changes a database")
            return HOLE
        if re.search(
            r"^(?:release:(?:perform|prepare|rollback|branch)|scm:(?:checkin|add|tag|branch|remove)|gitflow:[\w-]+|jgitflow:[\w-]+|deploy|publish\w*|release(?: .*)?|axion\w*|finalRelease|candidateRelease|createRelease|pushRelease|gitPublishPush|closeAndRelease\w*)$",
            word,
        ):
            inquiry.object("git", call, f"`{word}` commits, tags, pushes or publishes")
            return HOLE
    for value in [word for word in call.argv if word.startswith("-Dexec.executable=")]:
        inquiry.argv(
            call,
            (
                value.partition("=")[2],
                *(word.partition("=")[2] for word in call.argv if word.startswith("-Dexec.args=")),
            ),
        )
    return None


def _justfile(inquiry: Inquiry, call: Invocation, words: list[str]) -> None:
    for name in (o.option(call.argv[1:], "-f", "--justfile") or "justfile", "Justfile", ".justfile"):
        text = inquiry.content(name)
        if is_known(text):
            plain = re.sub(r"(?m)^( {2,}|\t)@?", "\t", text)
            plain = re.sub(r"(?m)^@?([\w-]+)(?: [^:=\n]*)?:(?!=)", r"\1:", plain)
            _recipes(inquiry, call, plain, words or ["default"], ours=not inquiry.is_new(name))
            return


def _taskfile(inquiry: Inquiry, call: Invocation, words: list[str]) -> None:
    for name in ("Taskfile.yml", "Taskfile.yaml"):
        text = inquiry.content(name)
        if not is_known(text):
            continue
        for word in words or ["default"]:
            match = re.search(rf"(?ms)^  {re.escape(word)}:\s*\n(.*?)(?=^  \S|\Z)", text)
            for line in re.findall(r"(?m)^\s+-\s+(?:cmd:\s*)?(.+)$|cmd:\s*(.+)$", match.group(1)) if match else []:
                _follow(inquiry, (line[0] or line[1]).strip("'\""), ours=not inquiry.is_new(name))
        return


def _composer(inquiry: Inquiry, call: Invocation, words: list[str]) -> str | None:
    if words[:1] == ["global"] and set(words[1:2]) & o.words("require remove update install"):
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    text = inquiry.content("composer.json")
    if is_known(text) and words:
        try:
            scripts = json.loads(text).get("scripts", {})
        except ValueError:
            return None
        lines = scripts.get(words[0], []) if isinstance(scripts, dict) else []
        for line in [lines] if isinstance(lines, str) else lines:
            if isinstance(line, str) and not line.startswith("@") and "::" not in line:
                _follow(inquiry, line, ours=not inquiry.is_new("composer.json"))
    return None


def cargo(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``cargo``: subcommands that are programs of their own.
    """
    at = o.after_options(call.argv, o.words("--color --config -Z -C --manifest-path --target-dir"))
    while at < len(call.argv) and call.argv[at].startswith("+"):
        at += 1
    rest = call.argv[at:]
    if not rest:
        return HOLE
    for path in o.options(call.argv[1:], "--manifest-path", "-C", "--target-dir", "--path", "--root"):
        inquiry.use(path, call, only_looks=True)
    verb = rest[0]
    if verb in {"new", "init"}:
        for path in o.plain(rest[1:], o.words("--name --vcs --edition --registry")):
            inquiry.use(path, call, writes=True)
    cargo_builds(inquiry, call)
    if verb == "install" and "--root" not in " ".join(rest) and not {"--list", "--help"} & set(rest):
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    if (
        verb in o.words("publish yank owner login release smart-release workspaces")
        and "--dry-run" not in rest
        and "--help" not in rest
    ):
        if not (verb == "workspaces" and rest[1:2] not in (("version",), ("publish",))) and not (
            verb in {"release", "smart-release"} and not {"--execute", "-x"} & set(rest)
        ):
            inquiry.object("git", call, f"`cargo {verb}` commits, tags or publishes")
        return HOLE
    if verb in o.words("""
        sqlx diesel sea-orm prisma shuttle make xtask loco butane refinery nextest watch migrate
    """):
        if verb == "watch":
            for text in o.options(rest, "-s", "--shell"):
                inquiry.text(text)
            for text in o.options(rest, "-x", "--exec"):
                inquiry.text("cargo " + text)
            return HOLE
        if verb == "loco" and rest[1:2] == ("db",):
            if rest[2:3] not in (("status",), ("entities",), ()):
                inquiry.object("db", call, "`cargo loco db` changes a database")
            return HOLE
        return inquiry.argv(call, (verb, *rest[1:]))
    if verb == "run":
        words = o.plain(rest[1:], o.words("--bin --package -p --example --manifest-path --features --profile --target"))
        names = [*o.options(rest, "--bin", "-p", "--package", "--example"), *words[:2]]
        if any(re.fullmatch(r"(?:db[-_])?(?:run[-_])?migrat(?:e|ions?|or)", name) for name in names) and not set(
            words
        ) & o.words("status generate new create list"):
            inquiry.object("db", call, "it runs migrations, by its name")
    return HOLE


def pip(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``pip``: into the project's environment, not the person's or the system's.
    """
    argv = call.argv[1:]
    verb = next((word for word in argv if not word.startswith("-")), "")
    if verb in {"install", "uninstall", "wheel", "download"}:
        if o.has_flag(argv, "", "--user", "--break-system-packages"):
            inquiry.object("outside", call, "what is installed for the person or on the machine would change")
        for path in o.options(argv, "-t", "--target", "--prefix", "--root", "-d", "--dest"):
            inquiry.use(path, call, writes=True)
        for path in [
            *o.options(argv, "-r", "--requirement", "-c", "--constraint", "-e", "--editable"),
            *o.plain(argv, o.words("-r -c -e -t --target --prefix --root -i --index-url"))[1:],
        ]:
            if path.startswith(("/", "../", "~", "file:")):
                inquiry.use(
                    path.removeprefix("file:").replace("//", "/", 1) if path.startswith("file:") else path, call
                )
        if verb == "install":
            project_setup(
                inquiry,
                call,
                [word for word in o.plain(argv, o.words("-r -c -t -i"))[1:] + o.options(argv, "-e", "--editable")],
            )
    elif verb == "config" and set(argv) & {"set", "unset", "edit"} and "--site" not in argv:
        inquiry.object("outside", call, "the person's settings would change")
    return HOLE


def project_setup(inquiry: Inquiry, call: Invocation, places: list[str]) -> None:
    """
    A ``setup.py`` that was only just written runs when its package is installed.
    """
    for place in places:
        if place.startswith("."):
            path = f"{place.split('[')[0].rstrip('/')}/setup.py"
            if inquiry.is_new(path):
                inquiry.argv(call, ("python", path), stdin=None)


def go(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``go``: what it generates and runs is the project's; ``go install`` and ``go env -w`` are the person's.
    """
    words = o.plain(
        call.argv[1:],
        o.words("""
            -C -o -run -tags -ldflags -gcflags -mod -modfile -exec -toolexec -bench -timeout -count
            -coverprofile -p
        """),
    )
    for path in o.options(call.argv[1:], "-C", "-o", "-coverprofile", "-modfile"):
        inquiry.use(path, call, only_looks=True)
    for text in o.options(call.argv[1:], "-exec", "-toolexec"):
        inquiry.text(text)
    if words[:1] == ["env"] and o.has_flag(call.argv[1:], "wu"):
        inquiry.object("outside", call, "the person's settings would change")
        return HOLE
    if words[:1] == ["install"] and any("@" in word for word in words[1:]):
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    if words[:1] == ["generate"]:
        for path in inquiry.written(".go"):
            for line in re.findall(r"(?m)^//go:generate\s+(.*)$", inquiry.content(path)):
                inquiry.text(line)
    if words[:1] in (["run"], ["tool"]) and len(words) > 1:
        compiled(inquiry, call, words[1:])
        package = words[1].partition("@")[0]
        name = next((part for part in reversed(package.split("/")) if not re.fullmatch(r"v\d+|cmd|cli", part)), "")
        at = call.argv.index(words[1])
        if name and not name.endswith(".go") and not package.startswith((".", "/")):
            return inquiry.argv(call, (name, *call.argv[at + 1 :]))
        if re.search(r"(?:^|/)(?:db)?migrat(?:e|ions?|or)(?:/|\.go|$)", package) and not set(words[2:]) & o.words(
            "status create new version"
        ):
            inquiry.object("db", call, "it runs migrations, by its name")
    for word in words[1:]:
        if word.startswith(("../", "/")):
            inquiry.use(word.replace("...", ""), call)
    return HOLE


def compiled(inquiry: Inquiry, call: Invocation, paths: Iterable[str] = ()) -> str | None:
    """
    A source that was only just written, and is compiled and run: ``go run``, ``java X.java``, ``rustc``, ``tcc -run -``.
    """
    for path in [*paths, *call.argv[1:]]:
        text = (
            call.stdin or ""
            if path == "-"
            else inquiry.content(path)
            if inquiry.is_new(path) and (_SOURCE.search(path) or call.program == "escript")
            else ""
        )
        if text and is_known(text):
            inquiry.code(inquiry, call, "other", text)
    return None


def cargo_builds(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``cargo build`` runs a ``build.rs`` that was only just written.
    """
    if inquiry.is_new("build.rs"):
        inquiry.code(inquiry, call, "other", inquiry.content("build.rs"))
    return None


_SOURCE = re.compile(
    r"""
    \.(?:go|rs|java|kts?|c|cc|cpp|cxx|m|swift|zig|nim|cr|hs|ml|fs|cs|scala|d|v|groovy|gradle|ex|exs|erl
    |dart)$
    """,
    re.VERBOSE,
)


def dotnet(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``dotnet``: its tools.
    """
    words = o.plain(
        call.argv[1:],
        o.words("""
            --project -p -c --configuration -f --framework -o --output -s --startup-project --context
            --connection -v
        """),
    )
    if words[:1] == ["ef"]:
        return inquiry.argv(call, ("ef", *call.argv[call.argv.index("ef") + 1 :]))
    if words[:2] == ["tool", "install"] and o.has_flag(call.argv, "g", "--global"):
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    if words[:2] == ["tool", "run"] and len(words) > 2:
        return inquiry.argv(call, call.argv[call.argv.index(words[2]) :])
    if words[:2] == ["nuget", "push"]:
        inquiry.object("git", call, "a package would be published")
        return HOLE
    if words[:1] == ["fm"] or (words[:1] == ["run"] and re.search(r"[Mm]igrat(?:e|or|ion)", " ".join(call.argv))):
        inquiry.object("db", call, "it runs migrations, by its name")
        return HOLE
    return None


def task_sources(inquiry: Inquiry, call: Invocation) -> None:
    """
    The file in which a task runner's tasks stand, where it was only just written.
    """
    for path in _TASK_FILES.get(call.program, ()):
        if path.endswith("conftest.py"):
            path = next((one for one in inquiry.written("conftest.py")), path)
        if not inquiry.is_new(path):
            continue
        text = inquiry.content(path)
        if path.endswith(".py"):
            inquiry.code(inquiry, call, "python", text)
        else:
            for line in re.findall(r"(?m)^\s*(?:-\s+)?(?:[\w.-]+\s*[:=]\s*)?(.+)$", text):
                if re.match(r"['\"]?(?:git|rm|sh|bash|psql|alembic|curl|wget|cat|mv|cp|python3?|node|gh)\b", line):
                    inquiry.text(line.strip().strip("'\""))


_TASK_FILES: dict[str, tuple[str, ...]] = {
    **o.each("inv invoke", ("tasks.py",)),
    "fab": ("fabfile.py",),
    "doit": ("dodo.py",),
    "nox": ("noxfile.py",),
    "tox": ("tox.ini",),
    "direnv": (".envrc",),
    **o.each("task go-task", ("Taskfile.yml", "Taskfile.yaml")),
    "poe": ("pyproject.toml",),
    "pytest": ("conftest.py", "tests/conftest.py", "test/conftest.py"),
    "mise": ("mise.toml", ".mise.toml"),
}


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_EXECUTORS, execute),
    **dict.fromkeys(_JS_MANAGERS, javascript),
    **dict.fromkeys(_MAKES, make),
    **dict.fromkeys(_TASKS, task),
    "cargo": cargo,
    **o.each("pip pip3 pip2", pip),
    "go": go,
}


def _tests(inquiry: Inquiry, call: Invocation) -> str | None:
    task_sources(inquiry, call)
    return None


LATER: dict[str, Handler] = {
    "dotnet": dotnet,
    **o.each("pytest py.test", _tests),
    **o.each(
        """
        java rustc tcc cling rust-script cargo-script gcc g++ cc clang kotlinc scalac zig nim crystal escript
        runghc swiftc csharp dotnet-script csi
        """,
        compiled,
    ),
}
