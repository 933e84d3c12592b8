"""
What people write under ``deliverables``, and what may be read out of it.
"""

import pytest

from orchestrd.domain.model import Verb
from orchestrd.domain.taskfile.deliverables import read_deliverables
from orchestrd.domain.taskfile.paths import BadPath

C, U, E = Verb.CREATE, Verb.UPDATE, Verb.EITHER
OPTIONAL = True

ONE_PATH = {
    # A path and nothing else.
    "docs/NEW_DOC.md": ("docs/NEW_DOC.md", E),
    "path/to/expected/file.ts": ("path/to/expected/file.ts", E),
    "./src//foo.ts": ("src/foo.ts", E),
    "`src/foo.ts`": ("src/foo.ts", E),
    "**docs/x.md**": ("docs/x.md", E),
    '"docs/x.md"': ("docs/x.md", E),
    "[the guide](docs/guide.md)": ("docs/guide.md", E),
    "src/app/(main)/x/page.tsx": ("src/app/(main)/x/page.tsx", E),
    "src/app/(main)/baptisms/": ("src/app/(main)/baptisms/", E),
    "src/app/[id]/@modal/page.tsx": ("src/app/[id]/@modal/page.tsx", E),
    "(main)/x/page.tsx": ("(main)/x/page.tsx", E),
    "docs/": ("docs/", E),
    "Dockerfile": ("Dockerfile", E),
    "Makefile": ("Makefile", E),
    "README.md": ("README.md", E),
    ".gitignore": (".gitignore", E),
    ".env.example": (".env.example", E),
    ".github/workflows/ci.yml": (".github/workflows/ci.yml", E),
    "tests/*.spec.ts": ("tests/*.spec.ts", E),
    "*.md": ("*.md", E),
    "src/**/*.ts": ("src/**/*.ts", E),
    "supabase/migrations": ("supabase/migrations", E),
    "src/components/Button": ("src/components/Button", E),
    "docs/My User Guide.md": ("docs/My User Guide.md", E),
    "docs/Ünïcode.md": ("docs/Ünïcode.md", E),
    "docs/x.md.": ("docs/x.md", E),
    "src/foo.ts:12": ("src/foo.ts", E),
    "docs/x.md#usage": ("docs/x.md", E),
    "tests/test_x.py::test_a": ("tests/test_x.py", E),
    "data/thing.xyz": ("data/thing.xyz", E),
    # A verb before it.
    "Create README.md": ("README.md", C),
    "Created docs/x.md": ("docs/x.md", C),
    "New file: src/a b/c.py": ("src/a b/c.py", C),
    "New page src/app/x/page.tsx": ("src/app/x/page.tsx", C),
    "Add docs/x.md": ("docs/x.md", C),
    "Add a new file docs/x.md": ("docs/x.md", C),
    "Updated docs/MODULE_REGISTRY.md": ("docs/MODULE_REGISTRY.md", U),
    "Updated docs/X.md: add section": ("docs/X.md", U),
    "Update the README.md": ("README.md", U),
    "Fix the bug in src/lib/x.ts": ("src/lib/x.ts", U),
    "Refactored `src/lib/x.ts`": ("src/lib/x.ts", U),
    "Add a section to docs/x.md": ("docs/x.md", U),
    "Add pagination in src/x.tsx": ("src/x.tsx", E),
    "Create or update docs/x.md": ("docs/x.md", E),
    "Create a section in docs/x.md": ("docs/x.md", E),
    "Write docs/x.md": ("docs/x.md", E),
    # Words after it are a remark.
    "docs/x.md (new)": ("docs/x.md", C),
    "docs/x.md - updated": ("docs/x.md", U),
    "docs/x.md — the guide to src/y.ts": ("docs/x.md", E),
    "docs/x.md updated": ("docs/x.md", U),
    "docs/x.md (see docs/y.md)": ("docs/x.md", E),
    "tests/x.spec.ts for src/x.ts": ("tests/x.spec.ts", E),
    "src/a.ts imports src/b.ts": ("src/a.ts", E),
    "docs/x.md: no changes to the API": ("docs/x.md", E),
    # The path is the object of the sentence.
    "API docs: docs/api.md": ("docs/api.md", E),
    "API docs - docs/api.md": ("docs/api.md", E),
    "Section on pagination in docs/x.md": ("docs/x.md", E),
    "Tests for pagination in tests/x.spec.ts": ("tests/x.spec.ts", E),
    "Unit tests for the parser (tests/test_parser.py)": ("tests/test_parser.py", E),
    "New page (src/app/page.tsx)": ("src/app/page.tsx", C),
    "Based on docs/PATTERN.md, create src/x.ts": ("src/x.ts", C),
    "Rename src/a.ts to src/b.ts": ("src/b.ts", E),
    "src/a.ts -> src/b.ts": ("src/b.ts", E),
    "README.md's introduction": ("README.md", E),
    "docs/x.md (created or updated)": ("docs/x.md", E),
    "src/app/page.tsx, loading.tsx": ("src/app/page.tsx", E),
    "Documentation for https://example.com/x in docs/x.md": ("docs/x.md", E),
}

OPTIONALS = {
    "Updated docs/MODULE_REGISTRY.md (add reference if needed)": ("docs/MODULE_REGISTRY.md", U),
    "tests/x.spec.ts (if using Page Object Model)": ("tests/x.spec.ts", E),
    "docs/x.md if needed": ("docs/x.md", E),
    "docs/x.md, if applicable": ("docs/x.md", E),
    "docs/x.md as needed": ("docs/x.md", E),
    "docs/x.md (optional)": ("docs/x.md", E),
    "docs/x.md - optional": ("docs/x.md", E),
    "docs/x.md, optional": ("docs/x.md", E),
    "Optional: docs/x.md": ("docs/x.md", E),
    "[optional] docs/x.md": ("docs/x.md", E),
    "(if time permits) docs/x.md": ("docs/x.md", E),
    "Optionally update docs/x.md": ("docs/x.md", U),
    "If needed, update docs/x.md": ("docs/x.md", U),
    "Update docs/x.md (where applicable)": ("docs/x.md", U),
}

PROSE = [
    "Tests for pagination",
    "All tests pass",
    "and/or",
    "input/output handling",
    "client/server split",
    "CI/CD",
    "CI/CD pipeline",
    "read/write access",
    "he/she/they wording",
    "docs/tests",
    "tests/docs updated",
    "24/7 support",
    "1/2",
    "v1.2.3",
    "Release v1.2.3",
    "Upgrade to Node.js 20",
    "Node.js",
    "Next.js pages",
    "React/Next.js components",
    "Vue.js/Node.js",
    "ASP.NET",
    "100%",
    "100% coverage",
    "e.g. a summary",
    "i.e. nothing",
    "etc.",
    "A page at https://example.com/docs/x.md",
    "https://example.com/docs/x.md",
    "example.com/docs/x.md",
    "www.example.com/x.html",
    "@supabase/ssr",
    "@/components/ui/button.tsx",
    "application/json responses",
    "Branch feature/login",
    "GET /api/users endpoint",
    "Page at /baptisms",
    "console.log removed everywhere",
    "Use array.map and Object.keys",
    ".tsx files formatted",
    "All .spec.ts files",
    "Updated README",
    "LICENSE",
    "Tests for src/lib/x.ts",
    "Tests for the parser (src/parser.py)",
    "Tests for functions in src/utils.ts",
    "Following docs/GUIDE.md",
    "Form as described in docs/FORMS.md",
    "Link to docs/y.md",
    "No changes to src/x.ts",
    "Do not touch src/x.ts",
    "src/x.ts unchanged",
    "Delete src/old.ts",
    "Remove src/old.ts and src/older.ts",
    "Run tests/x.spec.ts",
    "Verify src/x.ts",
    "tests/x.spec.ts passes",
    "Replace src/a.ts with src/b.ts",
    "`npm run test tests/x.ts`",
    "`useState`",
    "docs/<module>.md",
    "src/...",
    "docs/My thing and Guide.md",
    "x.c",
    "Done when src/x.ts exists",
    "locale strings en/fr/es",
    "...",
    "()",
    "—",
    "日本語のテスト",
]

SEVERAL = {
    "src/a.ts and src/b.ts": [("src/a.ts", E, False), ("src/b.ts", E, False)],
    "src/a.ts, src/b.ts, and docs/c.md": [("src/a.ts", E, False), ("src/b.ts", E, False), ("docs/c.md", E, False)],
    "src/a.ts,src/b.ts": [("src/a.ts", E, False), ("src/b.ts", E, False)],
    "Create src/a.ts and src/b.ts": [("src/a.ts", C, False), ("src/b.ts", C, False)],
    "Create src/a.ts and update docs/b.md": [("src/a.ts", C, False), ("docs/b.md", U, False)],
    "Create docs/a.md and add a row to docs/b.md": [("docs/a.md", C, False), ("docs/b.md", U, False)],
    "Create src/a.ts and link to docs/b.md": [("src/a.ts", C, False)],
    "src/a.ts (new), src/b.ts (updated)": [("src/a.ts", C, False), ("src/b.ts", U, False)],
    "src/a.ts (optional) and src/b.ts": [("src/a.ts", E, True), ("src/b.ts", E, False)],
    "src/a.ts and src/b.ts (if needed)": [("src/a.ts", E, False), ("src/b.ts", E, True)],
    "src/a.ts or src/b.ts": [("src/a.ts", E, True), ("src/b.ts", E, True)],
    "Optional: src/a.ts and src/b.ts": [("src/a.ts", E, True), ("src/b.ts", E, True)],
    "Updated src/a.ts; new docs/b.md": [("src/a.ts", U, False), ("docs/b.md", C, False)],
    "package.json and README.md updated": [("package.json", U, False), ("README.md", U, False)],
    "src/a.ts and src/a.ts": [("src/a.ts", E, False)],
    "Pages (src/a.tsx and src/b.tsx)": [("src/a.tsx", E, False), ("src/b.tsx", E, False)],
}

OUTSIDE = [
    "../x",
    "../other/README.md",
    "Update ../x.md",
    "docs/../../x.md",
    "/etc/passwd",
    "Write /etc/nginx/nginx.conf",
    "/docs/x.md",
    "Updated `/docs/x.md`",
    "~/notes.md",
    "C:\\work\\x.md",
    "C:/work/x.md",
    "docs\\x.md",
    "/baptisms",
    "Create ../../a b.md",
]


@pytest.mark.parametrize("text", ONE_PATH)
def test_one_path(text: str) -> None:
    """
    The path and the verb are read out, and it is not optional.
    """
    path, verb = ONE_PATH[text]

    (one,) = read_deliverables(text)

    assert (text, path, verb, False) == (one.text, one.path, one.verb, one.optional)


@pytest.mark.parametrize("text", OPTIONALS)
def test_condition(text: str) -> None:
    """
    A conditional promise is optional.
    """
    path, verb = OPTIONALS[text]

    (one,) = read_deliverables(text)

    assert (path, verb, True) == (one.path, one.verb, one.optional)


@pytest.mark.parametrize("text", PROSE)
def test_prose(text: str) -> None:
    """
    No path is invented.
    """
    (one,) = read_deliverables(text)

    assert (text, None, E, False) == (one.text, one.path, one.verb, one.optional)


@pytest.mark.parametrize("text", SEVERAL)
def test_several(text: str) -> None:
    """
    Each path of a list is a promise of its own, with the whole text.
    """
    found = read_deliverables(text)

    assert SEVERAL[text] == [(one.path, one.verb, one.optional) for one in found]
    assert {text} == {one.text for one in found}


@pytest.mark.parametrize("text", OUTSIDE)
def test_outside(text: str) -> None:
    """
    A promise outside the project is an error, not prose.
    """
    with pytest.raises(BadPath):
        read_deliverables(text)


@pytest.mark.parametrize("text", ["See ../other/README.md", "Following /etc/fstab", "Optional fields on the form"])
def test_mentions_are_harmless(text: str) -> None:
    """
    A path that is only mentioned may lie anywhere, and an adjective is no condition.
    """
    assert [(one.path, one.optional) for one in read_deliverables(text)] == [(None, False)]


def test_prose_may_be_optional() -> None:
    """
    A condition is read from prose as well.
    """
    assert read_deliverables("Screenshots (if needed)")[0].optional
    assert not read_deliverables("Screenshots (not optional)")[0].optional


def test_text_is_one_line() -> None:
    """
    Line breaks of a folded list entry become spaces.
    """
    assert read_deliverables("Update docs/x.md\n   (if\tneeded)\n")[0].text == "Update docs/x.md (if needed)"
