"""
The control socket's interface as an OpenRPC 1.3 document, generated from `orchestrd.protocol.api`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrd.protocol.api import METHODS


def document(version: str) -> dict[str, Any]:
    """
    The document; *version* is the program's.
    """
    types = [kind for method in METHODS.values() for kind in (method.params, method.result)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    methods = []
    for number, (name, method) in enumerate(METHODS.items()):
        params = components.get(method.params.__name__, {})
        required = set(params.get("required", ()))
        methods.append(
            {
                "name": name,
                "summary": method.summary,
                "paramStructure": "by-name",
                "params": [
                    {"name": key, "required": key in required, "schema": schema}
                    for key, schema in params.get("properties", {}).items()
                ],
                "result": {"name": "result", "schema": schemas[2 * number + 1]},
            }
        )
    return {
        "openrpc": "1.3.2",
        "info": {"title": "orchestrd control socket", "version": version},
        "methods": methods,
        "components": {"schemas": components},
    }
