"""Serve the gallery's workflows as templates, and the list of all workflows one can start from."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Blueprint, Response, g
from msgspec import Struct

from oxoflow import gallery
from oxoflow.db.library import list_workflows
from oxoflow.errors import NotFound
from oxoflow.web.guards import signed_in
from oxoflow.web.http import reply, services

blueprint = Blueprint("templates", __name__)


class Template(Struct, frozen=True):
    """A workflow of the gallery, read once."""

    id: str
    name: str
    version: str
    category: str
    description: str
    rules_count: int
    toml_content: str


@cache
def _template(name: str) -> Template:
    text, entry = gallery.read(name), gallery.entry(name)
    return Template(
        name, entry.title, entry.version, entry.category, entry.description, entry.rules, text
    )


def _listed(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "version": template.version,
        "category": template.category,
        "description": template.description,
        "rules_count": template.rules_count,
    }


@blueprint.get("/api/templates")
def templates() -> Response:
    """Example workflows, easy ones first."""
    return reply({"templates": [_listed(_template(name)) for name in gallery.names()]})


@blueprint.get("/api/templates/<template_id>")
def template(template_id: str) -> Response:
    """One example with its text."""
    if template_id not in gallery.names():
        raise NotFound("Template not found", "GET /api/templates lists them")
    found = _template(template_id)
    return reply({**_listed(found), "toml_content": found.toml_content})


@blueprint.get("/api/workflows")
@signed_in
def workflows() -> Response:
    """What one can start from: one's own saved workflows, then the examples."""
    own = [
        _choice("saved", row.id, row.name, row.version, row.rules_count)
        for row in list_workflows(services().db.read(), g.account.id)
    ]
    examples = [
        _choice("template", one.id, one.name, one.version, one.rules_count)
        for one in map(_template, gallery.names())
    ]
    return reply({"workflows": own + examples})


def _choice(source: str, id_: str, name: str, version: str, rules_count: int) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "rules_count": rules_count,
        "id": id_,
        "source": source,
    }
