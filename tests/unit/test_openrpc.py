"""
The interface document: valid JSON Schema, whole, and true to what the server decodes.
"""

import json

import jsonschema
import msgspec
import pytest

from orchestrd.edges.openrpc import document
from orchestrd.protocol.api import METHODS

DOCUMENT = document("1.2.3")
BY_NAME = {method["name"]: method for method in DOCUMENT["methods"]}


def test_it_is_json_and_says_what_it_is():
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["openrpc"] == "1.3.2"
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_every_method_is_in_it_once():
    assert [method["name"] for method in DOCUMENT["methods"]] == list(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_parameters_are_those_the_server_decodes(name):
    fields = {field.encode_name: field for field in msgspec.structs.fields(METHODS[name].params)}
    described = {param["name"]: param for param in BY_NAME[name]["params"]}
    assert described.keys() == fields.keys()
    assert {key for key, param in described.items() if param["required"]} == {
        key for key, field in fields.items() if field.required
    }
    assert BY_NAME[name]["paramStructure"] == "by-name"
    assert BY_NAME[name]["summary"]


def test_every_reference_leads_somewhere():
    text = json.dumps(DOCUMENT)
    wanted = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert wanted <= DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize("name", METHODS)
def test_schemas_are_valid(name):
    for schema in (BY_NAME[name]["result"]["schema"], *(param["schema"] for param in BY_NAME[name]["params"])):
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_components_are_valid(name):
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_writes_take_a_request_id_and_reads_do_not():
    for name, method in METHODS.items():
        named = "request_id" in {param["name"] for param in BY_NAME[name]["params"]}
        assert named is (method.writes and name.partition(".")[0] != "daemon"), name
