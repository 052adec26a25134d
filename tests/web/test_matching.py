"""Rules that build URLs late still build the right ones."""

import pytest
from flask import Flask, url_for
from werkzeug.routing import BuildError

SAVED = "/api/workflows/saved"


@pytest.mark.parametrize(
    ("endpoint", "values", "url"),
    [
        ("system.health", {}, "/api/health"),
        ("library.saved_one", {"workflow_id": "a b", "x": "1&2"}, SAVED + "/a%20b?x=1%262"),
        (
            "revisions.one",
            {"workflow_id": "w", "revision": 3},
            "/api/workflows/saved/w/revisions/3",
        ),
    ],
)
def test_urls_are_built_when_asked_for(
    app: Flask, endpoint: str, values: dict[str, object], url: str
) -> None:
    with app.test_request_context():
        for _ in range(2):
            assert url_for(endpoint, **values) == url
        with pytest.raises(BuildError):
            url_for("nowhere")
