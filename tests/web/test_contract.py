"""The contract: complete, valid, the same as what is enforced, and readable without a network."""

import re

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

import oxoflow
from oxoflow.openapi.checks import compile_schema
from oxoflow.openapi.contract import BODY_CHECKS, ROUTES, complaint, document, path_of
from oxoflow.openapi.document import to_30
from oxoflow.openapi.schemas import SCHEMAS
from oxoflow.settings import OPTIONS
from tests.web.conftest import MakeApp

AUTOMATIC = {"HEAD", "OPTIONS"}


def test_every_route_is_in_the_contract_and_no_other(app: Flask) -> None:
    served = {
        (method, path_of(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - AUTOMATIC
        if rule.endpoint != "static"
    }
    assert served == {(route.method, route.path) for route in ROUTES}


def test_the_role_in_the_contract_is_the_one_that_is_demanded(app: Flask) -> None:
    roles = {(route.method, route.path): route.role for route in ROUTES}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in (rule.methods or set()) - AUTOMATIC:
            if rule.endpoint != "static":
                least = getattr(view, "least_role", None)
                key = (method, path_of(rule.rule))
                assert roles[key] == (least.value if least else None), key


def test_the_document_is_valid_openapi_and_complete(client: FlaskClient) -> None:
    body = client.get("/api/openapi.json").json
    validate(body)
    assert body["openapi"] == "3.1.0"
    assert body["info"]["version"] == oxoflow.__version__
    assert {setting["variable"] for setting in body["x-settings"]} == {
        option.variable for option in OPTIONS
    }
    names = [one["operationId"] for path in body["paths"].values() for one in path.values()]
    assert len(names) == len(set(names)) == len(ROUTES)


def test_no_schema_is_unused_or_missing() -> None:
    text = str(document())
    used = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert used - {"OxifyError"} == set(SCHEMAS) - {"OxifyError"}


def test_the_servers_url_is_the_base_path(make_app: MakeApp) -> None:
    client = make_app(BASE_PATH="/oxo-flow").test_client()
    body = client.get("/oxo-flow/api/openapi.json").json
    assert body["servers"] == [{"url": "/oxo-flow"}]


def test_a_part_can_be_said_in_the_words_of_30() -> None:
    narrowed = to_30(document(), "library", "Library")
    validate(narrowed)
    assert narrowed["openapi"] == "3.0.3"
    assert set(narrowed["components"]["schemas"]) >= {"Workflow", "Error"}
    assert "User" not in narrowed["components"]["schemas"]
    assert "'null'" not in str(narrowed)


def test_the_page_shows_every_route_and_fetches_nothing(client: FlaskClient) -> None:
    page = client.get("/api/docs")
    assert page.status_code == 200
    for route in ROUTES:
        assert route.path in page.text
        assert f'id="{route.name}"' in page.text
    assert "<script" not in page.text
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "config", "max_jobs", "id", "x"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("key", sorted(BODY_CHECKS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_our_checks_agree_with_json_schema(key: tuple[str, str], data: st.DataObject) -> None:
    schema = next(route.body for route in ROUTES if (route.method, route.path) == key)
    assert schema is not None
    target = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    fields = st.fixed_dictionaries({}, optional=dict.fromkeys(target["properties"], JSON_VALUES))
    value = data.draw(fields | JSON_VALUES)
    root = {**schema, "components": {"schemas": SCHEMAS}}
    strict = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, it: isinstance(it, int) and not isinstance(it, bool)
    )
    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=strict)
    assert (BODY_CHECKS[key](value, "") is None) == kind(root).is_valid(value)


def test_a_complaint_names_the_field_by_its_path() -> None:
    check = compile_schema(
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "object", "required": ["b"]}}},
            "additionalProperties": False,
            "maxProperties": 2,
        },
        {},
    )
    assert check({"a": [{"b": 1}, {}]}, "") == "the field 'a[1].b' is missing"
    assert check({"c": 1}, "") == "the field 'c' is not known"
    assert check([], "") == "the body must be an object"
    assert complaint("POST", "/api/users", {"username": "x", "password": "y", "role": "z"}) == (
        "the field 'role' must be one of admin, user, viewer"
    )
    assert complaint("POST", "/api/workflows/dry-run", {"toml_content": "x", "config": 1}) == (
        "the field 'config' must be an object"
    )


def test_a_keyword_that_is_not_covered_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern"):
        compile_schema({"type": "string", "pattern": "x"}, {})
