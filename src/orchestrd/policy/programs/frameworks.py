"""
Shells of web frameworks: code of the application's own language, with its database at hand.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.secrecy import is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE

_MIGRATES = re.compile(
    r"\b[A-Z]\w*\.(?:migrate|rollback)(?:_(?:all|up|to|repos?|db|database))?(?![\w.:?])|\bEcto\.Migrator\.run\b"
)
_SECRET_SETTING = re.compile(
    r"""
    (?<!bool\()(?<!len\()\bsettings\.(?:
        \w*(?:SECRET|PASSWORD|TOKEN|DSN|(?:SECRET|API|APP|PRIVATE|ACCESS|SIGNING|ENCRYPTION)_KEY)\b
      | DATABASES\s*(?:\[[^\]]*\]\s*)?(?:[),;\n]|$|\[['"]PASSWORD)
    )
    """,
    re.VERBOSE,
)
"""A setting of Django's that is a secret by the end of its name; whether it is there at all may be asked."""
_ASKED_LARAVEL = re.compile(r"\b(env|config)\(\s*['\"]([\w.]+)['\"]")
_SECRET_CONFIGURATION = re.compile(r"(?:^|\.)(?:key|secret|password|token|\w+_(?:key|secret|password|token))$")


def rails(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``rails runner CODE``, ``rails console``.
    """
    words = o.plain(call.argv[1:], o.words("-e --environment -s --sandbox"))
    if words[:1] in (["runner"], ["r"]):
        for text in words[1:2]:
            inquiry.code(
                call,
                "ruby",
                inquiry.content(text) if text.endswith(".rb") else text if text != "-" else call.stdin or "",
            )
        return HOLE
    if words[:1] in (["console"], ["c"]) and call.stdin is not None and not o.has_flag(call.argv[2:], "s", "--sandbox"):
        inquiry.code(call, "ruby", call.stdin)
        return HOLE
    if call.program == "rake" and inquiry.is_fresh("Rakefile"):
        inquiry.code(call, "ruby", inquiry.content("Rakefile"))
    if call.program == "rake" and any(":" in word and is_migrating_target(word) for word in words):
        inquiry.object("db", call, "it runs migrations or changes a database, by its name")
        return HOLE
    if call.program == "rake" and any(
        word in {"release", "gem:release"} or word.startswith("release:") for word in words
    ):
        inquiry.object("git", call, "it commits, tags, pushes or publishes")
        return HOLE
    return None


def django(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``manage.py shell -c CODE``, or code on its input.
    """
    words = o.plain(call.argv[1:], o.words("-c --command -i --interface --settings -v --verbosity"))
    if words[:1] in (["shell"], ["shell_plus"], ["runscript"]):
        for text in [*o.options(call.argv[1:], "-c", "--command"), *([call.stdin] if call.stdin is not None else [])]:
            if _SECRET_SETTING.search(text):
                inquiry.object("secret", call, "the application's secrets would be shown")
            inquiry.code(call, "python", "import django\n" + text)
        return HOLE
    return None


def laravel(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``artisan tinker``.
    """
    if "tinker" in call.argv[1:3]:
        for text in [*o.options(call.argv[1:], "--execute"), *([call.stdin] if call.stdin is not None else [])]:
            for way, name in _ASKED_LARAVEL.findall(text):
                if is_secret_variable(name) if way == "env" else _SECRET_CONFIGURATION.search(name):
                    inquiry.object("secret", call, "the application's secrets would be shown")
            inquiry.code(call, "php", text)
        return HOLE
    return None


def judge_release(inquiry: Inquiry, call: Invocation, text: str) -> None:
    """
    What an Elixir release evaluates, by convention the migrations of its module ``Release`` too.
    """
    if _MIGRATES.search(text):
        inquiry.object("db", call, "it runs migrations, by the name of the function")
    else:
        inquiry.code(call, "elixir", text)


def elixir(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``mix run -e CODE``, ``iex -S mix run -e CODE``, a release's ``eval``.
    """
    for text in o.options(call.argv[1:], "-e", "--eval", "--rpc-eval"):
        judge_release(inquiry, call, text)
    return None


def flask(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``flask shell``.
    """
    if "shell" in call.argv[1:] and call.stdin is not None:
        inquiry.code(call, "python", "import sqlalchemy\n" + call.stdin)
        return HOLE
    return None


HANDLERS: dict[str, Handler] = {
    **o.each("rails rake hanami", rails),
    **o.each("manage.py django-admin", django),
    **o.each("artisan tinker", laravel),
    **o.each("mix iex elixir", elixir),
    **o.each("flask quart", flask),
}
