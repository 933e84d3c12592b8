"""
A file of settings: read whole, with the line of whatever is wrong in it.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from orchestrd.config.settings import Settings
from orchestrd.errors import ConfigError

SettingsT = TypeVar("SettingsT", bound=Settings)


def load(path: Path, kind: type[SettingsT]) -> SettingsT:
    """
    The settings of that *kind* in the file.

    Raises `ConfigError` naming file, line, key and expectation.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: expected settings as `key: value` lines")
    _refuse_unknown(path, data, kind, [])
    try:
        return msgspec.convert(data, kind, strict=False)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        keys = re.findall(r"\.([A-Za-z_0-9]+)", where)
        raise ConfigError(f"{path}:{line_of(path, keys)}: {'.'.join(keys) or 'settings'}: {message}") from None


def _refuse_unknown(path: Path, data: dict[str, Any], kind: Any, above: list[str]) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            line = line_of(path, [*above, str(key)])
            raise ConfigError(
                f"{path}:{line}: {'.'.join([*above, str(key)])}: unknown setting",
                hint=f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(fields)}.",
            )
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Settings):
            _refuse_unknown(path, value, inner, [*above, key])


def written(path: Path, key: str) -> str:
    """
    The value of the setting *key* as it is written, before YAML makes a number of it; ``:`` when it is not set.
    """
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((str(value.value) for name, value in pairs if name.value == key), ":")


def line_of(path: Path, keys: list[str]) -> int:
    """
    The line of the setting that *keys* lead to, or of the last key that exists on the way.
    """
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 1
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        for name, value in node.value:
            if name.value == key:
                line, node = name.start_mark.line + 1, value
                break
        else:
            break
    return line
