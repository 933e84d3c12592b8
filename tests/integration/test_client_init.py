"""
``orchctl init``: real folders, real repositories.
"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from orchctl.__main__ import main
from orchctl.failures import Misuse
from orchctl.founding import EXAMPLE_FILE, found, repository_of
from orchestrd.config import TEXT_FILES, load_config, load_prices, project_path
from orchestrd.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "project"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def test_a_home_is_whole_and_its_settings_load(tmp_path: Path, project: Path) -> None:
    made = found(tmp_path / "work" / "home", project)
    home = Path(made.home)

    assert project_path(home, load_config(home)) == project
    assert load_prices(home).models
    assert all((home / "config" / name).is_file() for name in TEXT_FILES)
    assert stat.S_IMODE((home / "var").stat().st_mode) == 0o700
    assert (home / "var" / ".gitignore").read_text() == "*\n"
    assert made.kept == []


def test_the_settings_keep_their_comments_and_name_a_near_project_relatively(tmp_path: Path, project: Path) -> None:
    home = Path(found(tmp_path / "work" / "home", project).home)
    text = (home / "config" / "orchestrd.yaml").read_text()
    assert "\nproject: ../project\n" in text
    assert "# The git repository that agents work on" in text


def test_a_far_project_is_named_absolutely(tmp_path: Path, project: Path) -> None:
    home = Path(found(tmp_path / "a" / "b" / "c" / "home", project).home)
    assert f"\nproject: {project}\n" in (home / "config" / "orchestrd.yaml").read_text()


def test_a_home_inside_its_project(project: Path) -> None:
    home = Path(found(project / "orchestrator", project).home)
    assert load_config(home).project == ".."
    assert project_path(home, load_config(home)) == project


def test_the_project_itself_may_be_the_home(project: Path) -> None:
    found(project, project)
    assert load_config(project).project == "."


def test_a_home_behind_a_symlink_still_finds_its_project(tmp_path: Path, project: Path) -> None:
    far = tmp_path / "far" / "away" / "deep"
    far.mkdir(parents=True)
    (tmp_path / "work" / "link").symlink_to(far)
    home = Path(found(tmp_path / "work" / "link" / "home", project).home)
    assert project_path(home, load_config(home)) == project


@pytest.mark.parametrize("name", ["with space", "quote'd", 'dou"ble', "#hash", "yes", "colon: x", "ünï", "- dash"])
def test_any_name_of_a_project_survives_yaml(tmp_path: Path, name: str) -> None:
    project = tmp_path / name
    subprocess.run(["git", "init", "-q", project], check=True)
    home = Path(found(tmp_path / "home", project).home)
    assert project_path(home, load_config(home)) == project


def test_nothing_that_exists_is_overwritten(tmp_path: Path, project: Path) -> None:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "orchestrd.yaml").write_text("project: /somewhere/else  # mine\n")
    (home / "config" / "prices.yaml").write_text("mine\n")
    made = found(home, project)

    assert (home / "config" / "orchestrd.yaml").read_text() == "project: /somewhere/else  # mine\n"
    assert (home / "config" / "prices.yaml").read_text() == "mine\n"
    assert made.kept == ["config/orchestrd.yaml", "config/prices.yaml"]
    assert made.project == "/somewhere/else"
    assert "change it there" in made.notes[0]
    assert found(home, project).created == []


def test_a_folder_of_a_repository_means_the_repository(tmp_path: Path, project: Path) -> None:
    (project / "sub").mkdir()
    made = found(tmp_path / "work" / "home", project / "sub")
    assert made.project == str(project)
    assert "the whole of it" in made.notes[0]


def test_a_linked_worktree_is_a_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert repository_of(tmp_path) == tmp_path


def test_no_repository_is_a_clear_refusal_that_makes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for project, words in ((tmp_path / "none", "no such folder"), (Path("/"), "not a git repository")):
        with pytest.raises(Misuse, match=words):
            found(home, project)
    assert not home.exists()


def test_a_path_that_is_no_text_is_refused_and_nothing_made(tmp_path: Path, project: Path) -> None:
    home = tmp_path / os.fsdecode(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        found(home, project)
    assert not home.exists()


def test_the_example_is_yaml_and_no_day_by_accident(tmp_path: Path, project: Path) -> None:
    home = Path(found(tmp_path / "home", project).home)
    example = yaml.safe_load((home / EXAMPLE_FILE).read_text())
    assert [task["id"] for task in example["tasks"]] == ["task-001", "task-002"]
    assert example["date"] == "YYYY-MM-DD"


def test_the_command_tells_what_to_do_next(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "home", "--project", str(project)]) == 0
    out = capsys.readouterr().out
    for step in ("cd home", "orchctl doctor", "orchctl daemon start", "orchctl submit tasks/"):
        assert step in out
    assert main(["init", "other", "--project", "/"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "not a git repository" in err
