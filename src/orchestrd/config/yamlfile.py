"""
A file of settings: read whole, with the line of whatever is wrong in it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from orchestrd.config.settings import Settings
from orchestrd.errors import ConfigError

SettingsT = TypeVar("SettingsT", bound=Settings)


class SettingsFile:
    """
    One file; its lines are counted only once something of it is to be named.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, kind: type[SettingsT]) -> SettingsT:
        """
        The settings of that *kind* that it holds.

        Raises `ConfigError` naming file, line, key and expectation.
        """
        try:
            data = yaml.safe_load(self._text)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise ConfigError(f"{self.path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
        if not isinstance(data, dict):
            raise ConfigError(f"{self.path}:1: expected settings as `key: value` lines")
        self._refuse_unknown(data, kind, [])
        try:
            return msgspec.convert(data, kind, strict=False)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            raise self.wrong(re.findall(r"\.([A-Za-z_0-9]+)", where), message) from None

    def wrong(self, keys: Sequence[str], what: str, hint: str = "") -> ConfigError:
        """
        The error that says *what* is wrong with the setting that *keys* lead to.
        """
        return ConfigError(f"{self.path}:{self._line(keys)}: {'.'.join(keys) or 'settings'}: {what}", hint=hint)

    def written(self, key: str) -> str:
        """
        The value of the setting *key* as it is written, before YAML makes a number of it; ``:`` when it is not set.
        """
        pairs = self._top.value if isinstance(self._top, yaml.MappingNode) else []
        return next((str(value.value) for name, value in pairs if name.value == key), ":")

    @cached_property
    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _top(self) -> yaml.Node | None:
        found: yaml.Node | None = yaml.compose(self._text, Loader=yaml.SafeLoader)
        return found

    def _line(self, keys: Sequence[str]) -> int:
        """
        The line of the setting that *keys* lead to, or of the last key that exists on the way.
        """
        node, line = self._top, 1
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

    def _refuse_unknown(self, data: dict[str, Any], kind: Any, above: list[str]) -> None:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        for key, value in data.items():
            if key not in fields:
                near = difflib.get_close_matches(str(key), fields, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(fields)}."
                raise self.wrong([*above, str(key)], "unknown setting", hint)
            inner = fields[key]
            if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Settings):
                self._refuse_unknown(value, inner, [*above, key])
