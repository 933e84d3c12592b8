"""
What a journal may hold is written down for every schema: whoever adds a fact, a field or a word raises the schema with it.
"""

import json
from enum import StrEnum
from pathlib import Path
from typing import get_args

import msgspec

from orchestrd.domain import events, model, rows
from orchestrd.domain.events import AnyEvent
from orchestrd.storage.schema import SCHEMA_VERSION

WRITTEN = Path(__file__).parents[1] / "data" / "vocabulary"


def vocabulary() -> dict[str, dict[str, list[str]]]:
    """
    Every fact and row with its fields, every struct in them, and every enumeration with its words.
    """
    structs = {kind.__struct_config__.tag: kind for kind in (*get_args(AnyEvent), *get_args(rows.Row))}
    for module in (model, events, rows):
        structs |= {
            name: found
            for name, found in vars(module).items()
            if isinstance(found, type) and issubclass(found, msgspec.Struct)
        }
    enums = {
        name: found
        for module in (model, events, rows)
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, StrEnum) and found is not StrEnum
    }
    return {
        "structs": {str(name): sorted(kind.__struct_fields__) for name, kind in structs.items()},
        "enums": {name: sorted(word.value for word in kind) for name, kind in enums.items()},
    }


def test_the_schema_says_what_the_journal_may_hold():
    known = json.loads((WRITTEN / f"schema{SCHEMA_VERSION}.json").read_text())
    assert vocabulary() == known, (
        "An older program would take for damage what it does not know.  Once this schema was released, raise SCHEMA_VERSION, "
        "add the step that leads to it, and write its vocabulary down beside the others."
    )
