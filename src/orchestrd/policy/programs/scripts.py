"""
Programs in files, by the interpreter they are given to.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.programs.shells import judge_script_name
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, holes, is_known, is_printed, starts_with_hole

_LISTING = o.words("(find) (ls) (git) (fd) (rg) (grep) (sort)")
"""Programs that print the names of the project's own files."""


def run_file(inquiry: Inquiry, call: Invocation, language: str, argv: tuple[str, ...], position: int) -> str | None:
    """
    A program in a file.
    """
    if position >= len(argv):
        return HOLE
    path = argv[position]
    if path in {"/dev/stdin", "/dev/fd/0"}:
        return judge_code(inquiry, call, language, call.stdin or HOLE)
    if is_printed(path):
        if starts_with_hole(path) and not set(holes(path)) & _LISTING:
            inquiry.object("exec-unknown", call, "which script it would run is only known when it runs")
        return HOLE
    if re.match(r"https?:|npm:|jsr:", path):
        inquiry.object("exec-unknown", call, f"`{path}` is only known when it runs")
        return HOLE
    inquiry.use(path, call)
    judge_script_name(inquiry, call, path)
    if path.endswith("manage.py"):
        return inquiry.argv(call, ("manage.py", *argv[position + 1 :]))
    name = path.rsplit("/", 1)[-1]
    if name == "umzug.js":
        return inquiry.argv(call, ("umzug.js", *argv[position + 1 :]))
    if name in o.words("""
        artisan spark yii console ace rails rake drush occ magento craft wp cake think phinx doctrine
    """) or (language == "ruby" and name in {"rails", "rake"}):
        return inquiry.argv(call, (path, *argv[position + 1 :]))
    content = inquiry.content(path)
    if is_known(content):
        with inquiry.following(ours=not inquiry.is_new(path)):
            return judge_code(inquiry, call, language, content)
    elif inquiry.is_new(path):
        inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
        return HOLE
    elif (
        name
        in o.words("""
            alembic django-admin git prisma typeorm knex sequelize sequelize-cli drizzle-kit rimraf pip cli.js
            index.js
        """)
        or "node_modules/" in path
        or "/bin/" in path
    ):
        package = re.search(r"node_modules/(?:\.bin/)?((?:@[\w.-]+/)?[\w.-]+)", path)
        return inquiry.argv(call, (package.group(1).rsplit("/", 1)[-1] if package else name, *argv[position + 1 :]))
    return HOLE
