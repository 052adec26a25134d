"""Tell browsers which pages may call us and what our own pages may do.

Owns the CORS and security headers (spec/oxo-flow-api.md 3.8) and the answer to a preflight. Lets
or refuses no request: the guards do that. Pure: from the WSGI environ to headers.
"""

from __future__ import annotations

from collections.abc import Collection

from oxoflow.web.wsgi import Environ, Headers

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
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
ALWAYS = (
    NO_SNIFFING,
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Vary", "Origin"),
)
PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
PERMISSIONS = "camera=(), microphone=(), geolocation=()"


def is_preflight(environ: Environ) -> bool:
    """Whether a browser asks first; whether it may go on is in the headers of the answer."""
    return (
        environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    )


def add_headers(headers: Headers, environ: Environ, allowed_origins: Collection[str]) -> None:
    """Add to the headers of an answer those of every answer."""
    given = {name.lower(): text for name, text in headers}
    # A view may have said it already: once is enough.
    headers += ALWAYS if "x-content-type-options" not in given else ALWAYS[1:]
    kind = given.get("content-type", "").partition(";")[0]
    if kind == "text/html":
        if "content-security-policy" not in given:
            headers.append(("Content-Security-Policy", PAGE_POLICY))
        headers.append(("Permissions-Policy", PERMISSIONS))
    elif kind == "application/json" and "cache-control" not in given:
        headers.append(("Cache-Control", "no-store"))
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin in allowed_origins:
        headers += [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Expose-Headers", EXPOSED),
        ]
        if environ["REQUEST_METHOD"] == "OPTIONS":
            headers += [
                ("Access-Control-Allow-Methods", METHODS),
                ("Access-Control-Allow-Headers", HEADERS),
                ("Access-Control-Max-Age", "600"),
            ]
