"""
``context_files`` in a real tree: files, folders, globs, and nothing from elsewhere.
"""

import pytest

from orchestrd.workspace import context
from orchestrd.workspace.context import gather, missing


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "project"
    for name, data in {
        "CLAUDE.md": b"# Guide\n",
        "docs/a.md": b"a",
        "docs/b.md": b"b",
        "docs/deep/c.md": b"c",
        "src/app/[id]/page.tsx": b"page",
        "src/app/i/page.tsx": b"wrong",
        "logo.png": b"\x89PNG\xff\xfe",
        "nul.txt": b"a\0b",
        "big.txt": b"x" * 2000,
        "empty.txt": b"",
        ".git/config": b"[core]",
        ".env": b"SECRET=1",
        "node_modules/x/index.js": b"x",
        "src/__pycache__/x.pyc": b"x",
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tree / "out").symlink_to(tmp_path / "secret.txt")
    (tree / "up").symlink_to(tmp_path)
    (tree / "inner").symlink_to("docs/a.md")
    (tree / "loop").symlink_to("loop")
    return tree


def names(tree, *patterns: str, inline_bytes: int = 1000) -> list[str]:
    return [file.path for file in gather(tree, patterns, inline_bytes=inline_bytes)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("CLAUDE.md", ["CLAUDE.md"]),
        ("./CLAUDE.md", ["CLAUDE.md"]),
        ("docs", ["docs/a.md", "docs/b.md", "docs/deep/c.md"]),
        ("docs/", ["docs/a.md", "docs/b.md", "docs/deep/c.md"]),
        ("docs/*.md", ["docs/a.md", "docs/b.md"]),
        ("docs/**/*.md", ["docs/a.md", "docs/b.md", "docs/deep/c.md"]),
        ("docs/**.md", ["docs/a.md", "docs/b.md"]),
        ("docs/**", ["docs/a.md", "docs/b.md", "docs/deep/c.md"]),
        ("**/a.md", ["docs/a.md"]),
        ("**/**.tsx", ["src/app/[id]/page.tsx", "src/app/i/page.tsx"]),
        ("doc?", ["docs/a.md", "docs/b.md", "docs/deep/c.md"]),
        ("src/app/[id]/page.tsx", ["src/app/[id]/page.tsx"]),
        ("*.md", ["CLAUDE.md"]),
        ("inner", ["inner"]),
        ("nothing.md", []),
        ("nothing/*", []),
        ("docs/[", []),
        ("", None),
    ],
)
def test_what_a_pattern_names(tree, pattern, expected):
    found = names(tree, pattern)
    if expected is not None:
        assert found == expected
    assert missing(tree, (pattern,)) == ([] if found else [pattern])


@pytest.mark.parametrize(
    "pattern",
    ["../secret.txt", "/etc/passwd", "/etc/*", "../*", "out", "up/secret.txt", "up/*", "up", "loop", ".git", ".git/config",
     ".git/*", "**/.git/*", "docs/../../secret.txt", "a\0b", "x" * 5000],
)  # fmt: skip
def test_nothing_from_elsewhere(tree, pattern):
    assert [name for name in names(tree, pattern) if "secret" in name or ".git" in name or "passwd" in name] == []


def test_folders_leave_out_what_nobody_wrote(tree):
    assert not [name for name in names(tree, ".") if "node_modules" in name or "__pycache__" in name or ".git/" in name]


def test_each_file_once_in_the_order_it_was_named(tree):
    assert names(tree, "docs/b.md", "docs", "CLAUDE.md", "docs/*.md") == [
        "docs/b.md", "docs/a.md", "docs/deep/c.md", "CLAUDE.md",
    ]  # fmt: skip


def test_small_texts_are_read_others_only_named(tree):
    wanted = ("CLAUDE.md", "logo.png", "nul.txt", "big.txt", "empty.txt")
    found = {file.path: (file.size, file.text) for file in gather(tree, wanted, inline_bytes=1000)}
    assert found == {
        "CLAUDE.md": (8, "# Guide\n"), "logo.png": (6, None), "nul.txt": (3, None), "big.txt": (2000, None),
        "empty.txt": (0, ""),
    }  # fmt: skip
    assert gather(tree, ("CLAUDE.md",), inline_bytes=7)[0].text is None
    assert gather(tree, ("CLAUDE.md",), inline_bytes=8)[0].text == "# Guide\n"


def test_no_more_than_so_many(tree, monkeypatch):
    monkeypatch.setattr(context, "MAX_FILES", 2)
    assert names(tree, "docs", "CLAUDE.md") == ["docs/a.md", "docs/b.md"]


def test_a_tree_that_is_a_link(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree)
    assert names(tmp_path / "link", "docs/*.md") == ["docs/a.md", "docs/b.md"]
