"""Login, logout and who-am-I over HTTP."""

import re

from flask.testing import FlaskClient


def test_login_gives_a_token_and_a_strict_cookie(client: FlaskClient) -> None:
    answer = client.post("/api/auth/login", json={"username": "admin", "password": "admin-secret"})
    assert answer.status_code == 200
    assert answer.json == {"token": answer.json["token"], "username": "admin", "role": "admin"}
    assert re.fullmatch("[0-9a-f]{32}", answer.json["token"])
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"oxo_session={answer.json['token']}; ")
    parts = set(cookie.split("; ")[1:])
    assert {"HttpOnly", "Path=/", "Max-Age=86400", "SameSite=Strict"} <= parts
    assert "Secure" not in parts
