"""
Programs in files, by the interpreter they are given to.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.programs.imports import follow_imports
from orchestrd.policy.programs.shells import judge_script_name
from orchestrd.policy.programs.verbs import judge_words
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, holes, is_known, is_printed, starts_with_hole
from orchestrd.policy.shell.paths import STDIN

_FRAMEWORKS = o.words("""
    artisan spark yii console ace rails rake drush occ magento craft wp cake oil typo3 think phinx doctrine umzug.js
""")
"""Scripts that are the programs of their frameworks."""
_TOOLS = o.words("""
    alembic django-admin git prisma typeorm knex sequelize sequelize-cli drizzle-kit rimraf pip cli.js index.js
""")
"""Names of scripts that are programs, wherever they lie."""
_INSTALLED = re.compile(r"node_modules/(?:\.bin/)?((?:@[\w.-]+/)?[\w.-]+)")
_ENDING = re.compile(r"\.\w{1,4}$")
_FROM_FAR = re.compile(r"https?:|npm:|jsr:")
_LISTING = o.words("(find) (ls) (git) (fd) (rg) (grep) (sort)")
"""Programs that print the names of the project's own files."""


def run_file(inquiry: Inquiry, call: Invocation, language: str, argv: tuple[str, ...]) -> str | None:
    """
    Judge the program in the file that *argv* begins with; what follows are its arguments.
    """
    if not argv:
        return HOLE
    path, rest = argv[0], argv[1:]
    if path in STDIN:
        return judge_code(inquiry, call, language, call.stdin or HOLE)
    if is_printed(path):
        if starts_with_hole(path) and not set(holes(path)) & _LISTING:
            inquiry.object("exec-unknown", call, "which script it would run is only known when it runs")
        return HOLE
    if _FROM_FAR.match(path):
        inquiry.object("exec-unknown", call, f"`{path}` is only known when it runs")
        return HOLE
    inquiry.use(path, call)
    judge_script_name(inquiry, call, path)
    name = path.rsplit("/", 1)[-1]
    if path.endswith("manage.py"):
        return inquiry.argv(call, ("manage.py", *rest))
    if name in _FRAMEWORKS:
        return inquiry.argv(call, (name if name == "umzug.js" else path, *rest))
    if not _INSTALLED.search(path):
        judge_words(inquiry, call, _ENDING.sub("", name), rest)
    content = inquiry.content(path)
    if is_known(content):
        with inquiry.following(inquiry.origin(path), content):
            judge_code(inquiry, call, language, content)
            if language == "python" and inquiry.is_fresh(path):
                follow_imports(inquiry, call, content)
            return HOLE
    elif inquiry.is_new(path):
        inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
    elif name in _TOOLS or "node_modules/" in path or "/bin/" in path:
        package = _INSTALLED.search(path)
        return inquiry.argv(call, (package.group(1).rsplit("/", 1)[-1] if package else name, *rest))
    return HOLE
