"""Tell browsers which pages may call us and what our own pages may do.

Owns the CORS and security headers (spec/oxo-flow-api.md 3.8) and the answer to a preflight. Lets
or refuses no request: the guards do that.
"""

from __future__ import annotations

from flask import Flask, Response, request

from oxoflow.web.services import services

METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
HEADERS = (
    "authorization, content-type, accept, cookie, x-api-key, x-request-id, last-event-id, "
    "idempotency-key"
)
EXPOSED = (
    "x-request-id, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, "
    "x-total-count, x-total-pages, x-page, x-per-page, x-next-offset, content-disposition, "
    "content-range, etag, location"
)
ALWAYS = (  # added in one go: this is done for every answer
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Vary", "Origin"),
)
PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


def answer_preflight() -> Response | None:
    """204 to a browser that asks first; whether it may go on is in the headers added later."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return Response(status=204)
    return None


def add_headers(response: Response) -> Response:
    """The headers of every answer."""
    headers = response.headers
    headers.remove("X-Content-Type-Options")  # a view may have set it: once is enough
    headers.extend(ALWAYS)
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    elif "Cache-Control" not in headers and response.mimetype == "application/json":
        headers["Cache-Control"] = "no-store"
    origin = request.headers.get("Origin")
    if origin is not None and origin in services().settings.allowed_origins:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = EXPOSED
        if request.method == "OPTIONS":
            headers["Access-Control-Allow-Methods"] = METHODS
            headers["Access-Control-Allow-Headers"] = HEADERS
            headers["Access-Control-Max-Age"] = "600"
    return response


def register(app: Flask) -> None:
    """Put the headers on every answer of this application."""
    app.before_request(answer_preflight)
    app.after_request(add_headers)
