"""Serve the pages people look at; their style and script are our own, nothing comes from afar."""

from __future__ import annotations

from flask import Blueprint, render_template

from oxoflow import __version__

blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def front() -> str:
    """What this server is, whether one is logged in, and where things are."""
    return render_template("front.html", version=__version__)
