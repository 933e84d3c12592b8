"""
Where a home is, and what lies in its ``config``.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from orchestrd.config.settings import Config
from orchestrd.errors import ConfigError

CONFIG_FILE = "config/orchestrd.yaml"
PRICES_FILE = "config/prices.yaml"
TEXT_FILES = (
    "agent_instructions.md",
    "orchestrator_rules.md",
    "task_execution_patterns.md",
    "code_quality_standards.md",
)


def find_home(given: Path | None, environ: dict[str, str], cwd: Path) -> Path:
    """
    The home folder: *given*, else ``$ORCHESTRD_HOME``, else the nearest ancestor of *cwd* that holds
    ``config/orchestrd.yaml``.

    Raises `ConfigError` when there is none, or when it is not `speakable`.
    """
    named = given or (Path(environ["ORCHESTRD_HOME"]) if environ.get("ORCHESTRD_HOME") else None)
    if named is not None:
        home = Path(os.path.abspath(cwd / named))  # noqa: PTH100 - keep symlinks as the person wrote them
        if not (home / CONFIG_FILE).is_file():
            raise ConfigError(f"{home} is not a home: it has no {CONFIG_FILE}", hint="Make one: orchctl init DIR")
        return speakable(home)
    for folder in (cwd, *cwd.parents):
        if (folder / CONFIG_FILE).is_file():
            return speakable(folder)
    raise ConfigError(
        f"no home found: neither {cwd} nor a folder above it holds {CONFIG_FILE}",
        hint="Make one with `orchctl init DIR --project PATH`, or name one with --home or $ORCHESTRD_HOME.",
    )


def speakable(home: Path) -> Path:
    """
    *home*, if its path is UTF-8, by which name it is called and by its own: the journal, agents and clients are told it as text.

    Raises `ConfigError`.
    """
    for path in (home, Path(os.path.realpath(home))):
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            shown = str(path).encode("utf-8", "backslashreplace").decode()
            raise ConfigError(
                f"{shown}: this path is not UTF-8, and cannot be a home's", hint="Rename the folder, or choose another."
            ) from None
    return home


def default_text(name: str) -> str:
    """
    A file of the packaged defaults, ``orchestrd.yaml`` or ``agent_instructions.md``.
    """
    return resources.files("orchestrd").joinpath("defaults", name).read_text(encoding="utf-8")


def project_path(home: Path, config: Config) -> Path:
    """
    The project's absolute path; a relative one counts from the home.
    """
    return (home / Path(config.project).expanduser()).resolve()
