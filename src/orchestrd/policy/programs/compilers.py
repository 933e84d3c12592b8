"""
Languages that are compiled: what their own tools run, install and publish.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.environment import runs_text
from orchestrd.policy.programs.fresh import cargo_builds, compiled
from orchestrd.policy.programs.verbs import judge_launched
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_CARGO_RUNS = re.compile(r"runner|rustc|rustdoc|linker|wrapper|alias|credential|\.toml$")


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
    # What comes after ``--`` is for the program that it builds and runs.
    own = call.argv[1 : call.argv.index("--")] if "--" in call.argv else call.argv[1:]
    for path in o.options(own, "--manifest-path", "-C", "--target-dir", "--path", "--root"):
        inquiry.use(path, call, only_looks=True)
    for setting in o.options(own, "--config"):
        if _CARGO_RUNS.search(setting):
            inquiry.object("exec-unknown", call, "cargo would run another program")
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
    for path in o.options(call.argv[1:], "-C", "-modfile"):
        inquiry.use(path, call, only_looks=True)
    for path in o.options(call.argv[1:], "-o", "-coverprofile", "-cpuprofile", "-memprofile", "-trace", "-outputdir"):
        inquiry.use(path, call, writes=True)
    for text in o.options(call.argv[1:], "-exec", "--exec", "-toolexec", "--toolexec", "-vettool", "--vettool"):
        runs_text(inquiry, call, text, "go would run another program")
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
        else:
            judge_launched(inquiry, call, [name or "go", *call.argv[at + 1 :]])
    for word in words[1:]:
        if word.startswith(("../", "/")):
            inquiry.use(word.replace("...", ""), call)
    return HOLE


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


HANDLERS: dict[str, Handler] = {"cargo": cargo, "go": go}
LATER: dict[str, Handler] = {"dotnet": dotnet}
"""What judges after all that a program runs was followed."""
