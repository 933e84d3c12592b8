"""
The scenario file: YAML to `Scenario` values, or an error that names file, line and key.  Pure.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
import yaml

from orchestrd.domain.model import Usage
from orchestrd.errors import ConfigError
from orchestrd.rehearsal.file_shape import FileError, FileScenario, FileStep, FileUsage, FileWhen, Part, ScenarioFile
from orchestrd.rehearsal.scenario import Condition, Fault, FaultKind, Scenario, Step, ToolCall
from orchestrd.rehearsal.template import BUILT_IN

_ERROR_TYPES = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource"),
    404: ("not_found_error", "model: not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your rate limit"),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    529: ("overloaded_error", "Overloaded"),
}
_PROMPT_TOO_LONG = "prompt is too long: 250000 tokens > 200000 maximum"
_MOST_REPEATS = 10_000


_KEYS = sorted({key for part in Part.__subclasses__() for key in part.__struct_fields__})


class _Problem(Exception):
    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path
        self.text = text


def load_scenarios(data: bytes, source: str) -> tuple[Scenario, ...]:
    """
    The scenarios of a file's bytes; *source* is what an error calls the file.

    Raises `ConfigError`.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        text = data.decode()
        tree = yaml.load(text, Loader=loader)  # noqa: S506 - one of the two safe loaders
        # Lone surrogates, which YAML can spell, have no place on the wire.
        msgspec.json.encode(tree)
    except UnicodeError as error:
        raise ConfigError(f"{source}: not UTF-8 text: {error}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"{source}: not a scenario file: {error}") from None
    try:
        file = _convert(tree)
        return tuple(_scenario(entry, file.usage, index) for index, entry in enumerate(file.scenarios))
    except _Problem as problem:
        place = f"{source}:{_line(text, problem.path)}"
        raise ConfigError(f"{place}: {problem.path.removeprefix('.') or 'file'}: {problem.text}") from None


def _convert(tree: object) -> ScenarioFile:
    try:
        return msgspec.convert(tree, ScenarioFile)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        unknown = re.search(r"unknown field `(.+)`", text)
        if unknown:
            near = difflib.get_close_matches(unknown[1], _KEYS, n=1)
            text = f"unknown key {unknown[1]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            raise _Problem(f"{path.rstrip('`')}.{unknown[1]}", text) from None
        raise _Problem(path.rstrip("`"), text[:1].lower() + text[1:]) from None


def _scenario(entry: FileScenario, default: FileUsage, index: int) -> Scenario:
    path = f".scenarios[{index}]"
    if (entry.match is None) == (entry.pattern is None):
        raise _Problem(path, "give exactly one of 'match' (a substring) and 'pattern' (a regex)")
    if entry.pattern is not None:
        _regex(entry.pattern, f"{path}.pattern")
    for name, pattern in entry.vars.items():
        if not name.isidentifier() or name in BUILT_IN:
            raise _Problem(f"{path}.vars.{name}", "not a variable's name, or one that is built in")
        _regex(pattern, f"{path}.vars.{name}")
    steps: list[Step] = []
    waiting: list[Fault] = []
    usages = (_usage(entry.usage, _usage(default, Usage(input=1000, output=100), ".usage"), f"{path}.usage"),)
    for place, step in enumerate(entry.steps):
        where = f"{path}.steps[{place}]"
        faults = [*waiting, *_faults(step, where)]
        if step.text is None and step.thinking is None and not step.tools:
            if len(faults) == len(waiting):
                raise _Problem(where, "a step needs text, thinking, tools or an error")
            if step.when or step.unless or step.repeat != 1:
                raise _Problem(where, "a fault alone takes 'times', not when, unless or repeat")
            waiting = faults
            continue
        made = _step(step, tuple(faults), _usage(step.usage, usages[0], f"{where}.usage"), where)
        steps.extend(msgspec.structs.replace(made, n=n) for n in range(1, step.repeat + 1))
        waiting = []
    if waiting:
        steps.append(Step(text="Done.", usage=usages[0], faults=tuple(waiting)))
    if not steps:
        raise _Problem(f"{path}.steps", "at least one step is needed")
    name = entry.name or entry.match or entry.pattern or f"scenario {index + 1}"
    return Scenario(name=name, match=entry.match, pattern=entry.pattern, vars=entry.vars, steps=tuple(steps))


def _step(step: FileStep, faults: tuple[Fault, ...], usage: Usage, where: str) -> Step:
    if not 1 <= step.repeat <= _MOST_REPEATS:
        raise _Problem(f"{where}.repeat", f"expected a number from 1 to {_MOST_REPEATS}")
    for key, value in (("delay", step.delay), ("pace", step.pace)):
        if value < 0:
            raise _Problem(f"{where}.{key}", "expected seconds, not below 0")
    return Step(
        text=step.text,
        thinking=step.thinking,
        tools=tuple(ToolCall(name=tool.name, input=tool.input) for tool in step.tools),
        usage=usage,
        stop_reason=step.stop_reason,
        delay=step.delay,
        pace=step.pace,
        message_id=step.message_id,
        headers=_headers(step.headers, where),
        faults=faults,
        when=_condition(step.when, f"{where}.when"),
        unless=_condition(step.unless, f"{where}.unless"),
    )


def _faults(step: FileStep, where: str) -> list[Fault]:
    found: list[Fault] = []
    if step.error is not None:
        found.append(_error(step.error, step.delay, where))
    times = _times(step.times, where)
    if step.hang:
        beat = step.hang if isinstance(step.hang, str) else ""
        found.append(Fault(kind=FaultKind.HANG, times=times, beat=beat))
    if step.cut:
        found.append(Fault(kind=FaultKind.CUT, times=times))
    if step.sse_error is not False:
        kind = step.sse_error if isinstance(step.sse_error, str) else "overloaded_error"
        message = next((text for name, text in _ERROR_TYPES.values() if name == kind), kind)
        found.append(Fault(kind=FaultKind.SSE_ERROR, times=times, type=kind, message=message))
    if len(found) > 1:
        raise _Problem(where, "give one of error, hang, cut and sse_error")
    if step.times != 1 and (not found or step.error is not None):
        raise _Problem(f"{where}.times", "belongs to hang, cut or sse_error; an error has its own inside 'error'")
    if found and step.error is None and step.text is None and step.thinking is None and not step.tools:
        raise _Problem(where, "hang, cut and sse_error break an answer off: give it text, thinking or tools")
    return found


def _error(error: int | str | FileError, delay: float, where: str) -> Fault:
    if isinstance(error, str):
        error = FileError(status=400, message=_PROMPT_TOO_LONG)
    elif isinstance(error, int):
        error = FileError(status=error)
    where = f"{where}.error"
    if not 400 <= error.status <= 599:
        raise _Problem(f"{where}.status", "expected an HTTP status from 400 to 599")
    headers = _headers(error.headers, where)
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    kind, message = _ERROR_TYPES.get(error.status, ("api_error", "Error"))
    return Fault(
        kind=FaultKind.ERROR,
        times=_times(error.times, where),
        status=error.status,
        type=error.type or kind,
        message=error.message or message,
        headers=headers,
        delay=delay,
    )


def _times(times: int | str, where: str) -> int | None:
    if isinstance(times, str):
        return None
    if times < 1:
        raise _Problem(f"{where}.times", "expected a number from 1, or forever")
    return times


def _headers(headers: dict[str, str | int | float], where: str) -> dict[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or re.search(r"[\r\n]", str(value)):
            raise _Problem(f"{where}.headers.{name}", "not an HTTP header")
    return {name: str(value) for name, value in headers.items()}


def _condition(when: FileWhen | None, where: str) -> Condition | None:
    if when is None:
        return None
    if when == FileWhen():
        raise _Problem(where, "expected at least one of result, user and seen")
    for key in ("result", "user", "seen"):
        pattern = getattr(when, key)
        if pattern is not None:
            _regex(pattern, f"{where}.{key}")
    return Condition(result=when.result, user=when.user, seen=when.seen)


def _usage(given: FileUsage, default: Usage, where: str) -> Usage:
    names = {"cache_write": "cache_write_5m"}
    numbers = {names.get(key, key): getattr(given, key) for key in given.__struct_fields__}
    for key, value in numbers.items():
        if value is not None and value < 0:
            raise _Problem(f"{where}.{key.removesuffix('_5m')}", "expected tokens, not below 0")
    return msgspec.structs.replace(default, **{key: value for key, value in numbers.items() if value is not None})


def _regex(pattern: str, where: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise _Problem(where, f"not a regex: {error}") from None


def _line(text: str, path: str) -> int:
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
        if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
        elif key and isinstance(node, yaml.MappingNode):
            pair = next(((name, value) for name, value in node.value if name.value == key), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
            continue
        else:
            break
        line = node.start_mark.line + 1
    return line
