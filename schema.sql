-- The server's database: accounts, saved workflows, graphs and audit live here alone; runs, their
-- jobs and events are an index of what stands in the run directories.
-- Times are RFC 3339 UTC with milliseconds ("2026-05-26T08:00:00.000Z"), so text order is time order.

-- Who may log in. An account of the environment has no hash: its password is never stored.
CREATE TABLE IF NOT EXISTS users (
    id            TEXT PRIMARY KEY,              -- UUID v4
    username      TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL CHECK (role IN ('admin', 'user', 'viewer')),
    auth_type     TEXT NOT NULL DEFAULT 'password'
                  CHECK (auth_type IN ('environment', 'password', 'proxy', 'builtin')),
    os_user       TEXT,                          -- account of the machine to run as, if any
    password_hash TEXT,                          -- salted scrypt; NULL: no stored password
    disabled      INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
) STRICT;

-- Live logins; the client holds the token, the table only its SHA-256.
CREATE TABLE IF NOT EXISTS sessions (
    token_hash TEXT PRIMARY KEY,                 -- SHA-256 of the token, hexadecimal
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    address    TEXT,
    user_agent TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_of_user ON sessions (user_id, created_at);
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires_at);

-- Keys for programs: shown once, kept as a hash, limited to a scope, revocable.
CREATE TABLE IF NOT EXISTS api_keys (
    id           TEXT PRIMARY KEY,               -- UUID v4
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    key_hash     TEXT NOT NULL UNIQUE,           -- SHA-256 of the key, hexadecimal
    scope        TEXT NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    last_used_at TEXT,
    revoked_at   TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS api_keys_of_user ON api_keys (user_id, created_at);

-- The library: workflows saved by their owners, as text, exactly as given.
CREATE TABLE IF NOT EXISTS workflows (
    id           TEXT PRIMARY KEY,               -- UUID v4
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    toml_content TEXT NOT NULL,
    bundle       BLOB,                           -- zip of the files that belong to it, if any
    rules_count  INTEGER NOT NULL,
    revision     INTEGER NOT NULL DEFAULT 1,     -- counts up with every change of the text
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS workflows_of_user ON workflows (user_id, updated_at);

-- What a saved workflow was before: the newest fifty texts of each.
CREATE TABLE IF NOT EXISTS workflow_revisions (
    workflow_id  TEXT NOT NULL REFERENCES workflows (id) ON DELETE CASCADE,
    revision     INTEGER NOT NULL,
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    toml_content TEXT NOT NULL,
    bundle       BLOB,
    rules_count  INTEGER NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (workflow_id, revision)
) STRICT;

-- Who did what: append-only, each row holds the hash of the one before it.
CREATE TABLE IF NOT EXISTS audit_logs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp  TEXT NOT NULL,
    user_id    TEXT,                             -- no reference: the record outlives the account
    username   TEXT,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    result     TEXT NOT NULL CHECK (result IN ('success', 'failure')),
    address    TEXT,
    request_id TEXT,
    detail     TEXT,
    previous   TEXT NOT NULL,                    -- `hash` of the row before; 64 zeros for the first
    hash       TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX IF NOT EXISTS audit_logs_by_time ON audit_logs (timestamp);
CREATE TRIGGER IF NOT EXISTS audit_logs_keep BEFORE UPDATE ON audit_logs
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_logs_stay BEFORE DELETE ON audit_logs
BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;

-- Small facts the server keeps about itself.
CREATE TABLE IF NOT EXISTS settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
