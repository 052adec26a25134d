"""Describe the routes of logins, accounts, keys, quota and audit."""

from __future__ import annotations

from oxoflow.openapi.route import LOCATION, Query, Route, ok
from oxoflow.openapi.schemas import ROLE
from oxoflow.openapi.shapes import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    UUID,
    WHOLE,
    answer_object,
    list_of,
    nullable,
    one_of,
    ref,
    request_object,
    text,
    whole,
)

AUTH, ACCOUNTS = "auth", "accounts"
ENDED = answer_object(status=one_of("logged_out"), sessions=COUNT)

ROUTES = (
    Route(
        "POST", "/api/auth/login", "login", "Open a session of 24 hours", AUTH,
        ok(
            answer_object(token=TEXT, username=TEXT, role=ROLE),
            headers={"Set-Cookie": "The session as the cookie oxo_session."},
        ),
        body=request_object(username=TEXT, password=TEXT),
        errors=(401,),
    ),
    Route(
        "GET", "/api/auth/me", "me", "Who is asking", AUTH,
        ok(answer_object({"username": TEXT, "role": ROLE}, authenticated=FLAG)),
        optional_login=True,
    ),
    Route(
        "POST", "/api/auth/logout", "logout", "End this session", AUTH,
        ok(answer_object(status=one_of("logged_out"))),
        optional_login=True,
    ),
    Route(
        "POST", "/api/auth/logout/all", "logoutAll", "End all of one's own sessions", AUTH,
        ok(ENDED), role="viewer",
    ),
    Route(
        "POST", "/api/auth/password", "changePassword", "Change one's own stored password", AUTH,
        ok(answer_object(status=one_of("changed"))),
        role="viewer",
        body=request_object(current=TEXT, new=TEXT),
        errors=(409,),
    ),
    Route(
        "GET", "/api/auth/keys", "listKeys", "One's own API keys", AUTH,
        ok(answer_object(keys=list_of(ref("Key")))), role="viewer",
    ),
    Route(
        "POST", "/api/auth/keys", "makeKey", "Make an API key; it is shown this once", AUTH,
        ok(ref("Key"), "The key, in `key`", 201),
        role="viewer",
        body=request_object(
            {"scope": one_of("read", "write", "admin"), "expires_in_days": whole(1, 3650)},
            name=text(100, 1),
        ),
        errors=(409,),
    ),
    Route(
        "DELETE", "/api/auth/keys/{key_id}", "revokeKey", "Make an API key useless", AUTH,
        ok(answer_object(status=one_of("revoked"))), role="viewer",
    ),
    Route(
        "GET", "/api/quota", "quota", "What one may use and uses now", ACCOUNTS,
        ok(
            answer_object(
                limits=answer_object(
                    running=COUNT, pending=COUNT, streams=COUNT, requests=COUNT,
                    window_secs=NUMBER, body_bytes=COUNT, cache_bytes=COUNT,
                ),
                used=answer_object(running=COUNT, cache_bytes=COUNT, cache_results=COUNT),
                pending=COUNT,
            )
        ),
        role="viewer",
    ),
    Route(
        "DELETE", "/api/cache", "clearCache", "Forget the results kept for one's later runs",
        ACCOUNTS, ok(answer_object(status=one_of("deleted"))), role="user",
    ),
    Route(
        "GET", "/api/users", "listUsers", "Every account", ACCOUNTS,
        ok(answer_object(users=list_of(ref("User")))), role="admin",
    ),
    Route(
        "POST", "/api/users", "createUser", "Make an account with a stored password", ACCOUNTS,
        ok(
            answer_object(id=UUID, username=TEXT, role=ROLE, status=one_of("created")),
            "The account", 201, headers=LOCATION,
        ),
        role="admin",
        body=request_object({"role": ROLE}, username=text(64, 1), password=TEXT),
        errors=(409,),
    ),
    Route(
        "GET", "/api/users/{user_id}", "getUser", "One account", ACCOUNTS,
        ok(ref("User")), role="admin",
    ),
    Route(
        "PATCH", "/api/users/{user_id}", "changeUser",
        "Change role or password of an account, or whether it may log in", ACCOUNTS,
        ok(ref("User")),
        role="admin",
        body=request_object({"role": ROLE, "disabled": FLAG, "password": TEXT}),
        errors=(409,),
    ),
    Route(
        "DELETE", "/api/users/{user_id}", "deleteUser", "Remove an account and what it owns",
        ACCOUNTS,
        ok(answer_object(status=one_of("deleted"))), role="admin", errors=(400, 409),
    ),
    Route(
        "POST", "/api/users/{user_id}/logout", "logoutUser", "End all sessions of an account",
        ACCOUNTS, ok(ENDED), role="admin",
    ),
    Route(
        "GET", "/api/audit", "audit", "What was done in the last days", ACCOUNTS,
        ok(answer_object(entries=list_of(ref("AuditEntry")), days=COUNT)),
        role="admin",
        query=(
            Query("days", "How far back, 1 to 30; 7 when absent.", WHOLE),
            Query("limit", "At most so many rows, 1 to 1000; 200 when absent.", WHOLE),
            Query("before", "Only rows with a smaller id: continues a listing.", WHOLE),
        ),
    ),
    Route(
        "GET", "/api/audit/verify", "verifyAudit", "Whether the audit log is whole", ACCOUNTS,
        ok(
            answer_object(
                intact=FLAG, rows=COUNT, last_hash=TEXT, broken_at=nullable(COUNT),
                head_found=nullable(FLAG),
            )
        ),
        role="admin",
        query=(Query("head", "A hash noted earlier, which must still be in the log.", TEXT),),
    ),
)  # fmt: skip
