"""
What comes out of the folder of questions that an agent has in its sandbox.
"""

from __future__ import annotations

import pytest

from orchestrd.services.watched import bring_out
from orchestrd.storage.home import Home

RUN = "2026-11-22/c/1"


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path)
    (home.run_dir(RUN) / "questions").mkdir(parents=True)
    (home.questions / "2026-11-22").mkdir(parents=True)
    return home


def test_only_files_come_out(home):
    inside, outside = home.run_dir(RUN) / "questions", home.questions / "2026-11-22"
    (inside / "c.md" / "x").mkdir(parents=True)
    (inside / "c-2.md").symlink_to("/etc/passwd")
    (inside / "c-3.md").write_text("Which?")
    (inside / "d.md").write_text("not mine")
    bring_out(home, RUN)
    assert [path.name for path in outside.iterdir()] == ["c-3.md"]
    # The name is free again for a question.
    (inside / "c.md").write_text("And this?")
    bring_out(home, RUN)
    assert sorted(path.name for path in outside.iterdir()) == ["c-3.md", "c.md"]
    assert (outside / "c.md").read_text() == "And this?"
