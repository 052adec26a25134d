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

-- Runs, and executions of graphs: an index of the run directories. A row only moves forward.
CREATE TABLE IF NOT EXISTS runs (
    id                  TEXT PRIMARY KEY,        -- UUID v4, the name of the run directory
    user_id             TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind                TEXT NOT NULL DEFAULT 'workflow', -- which table of the supervisor applies
    workflow_name       TEXT NOT NULL,
    status              TEXT NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'running', 'success', 'failed', 'cancelled')),
    phase               TEXT DEFAULT 'queued'    -- NULL once the status is final
                        CHECK (phase IN ('queued', 'starting', 'running', 'paused', 'cancelling')),
    options             TEXT NOT NULL DEFAULT '{}', -- JSON: what was asked for beyond the text
    threads             INTEGER,                 -- what it was admitted with; NULL while it waits
    idle                INTEGER NOT NULL DEFAULT 0, -- 1: started, but only waits for somebody
    pid                 INTEGER,                 -- pid to nonce: recorded before the runner may
    start_time          INTEGER,                 -- begin (start time in clock ticks); no other
    boot_id             TEXT,                    -- process is ever signalled
    nonce               TEXT,
    rules_total         INTEGER NOT NULL DEFAULT 0,
    created_at          TEXT NOT NULL,
    ordered_at          TEXT NOT NULL,           -- place in lists: '~' and created_at while pending
    started_at          TEXT,
    finished_at         TEXT,
    exit_code           INTEGER,
    error               TEXT,
    cancel_requested_at TEXT,
    ended               TEXT,                    -- JSON: the processes that a cancel ended
    left_alive          INTEGER,                 -- how many it could not end
    event_offset        INTEGER NOT NULL DEFAULT 0, -- bytes of events.jsonl that are rows already
    retry_of            TEXT REFERENCES runs (id) ON DELETE SET NULL,
    tags                TEXT NOT NULL DEFAULT '[]', -- JSON: list of words
    idempotency_key     TEXT,
    answer              TEXT                     -- JSON: what the launch answered, for that key
) STRICT;
CREATE INDEX IF NOT EXISTS runs_of_user ON runs (user_id, kind, ordered_at DESC, id);
CREATE INDEX IF NOT EXISTS runs_in_order ON runs (kind, ordered_at DESC, id);
CREATE INDEX IF NOT EXISTS runs_alive ON runs (created_at) WHERE status IN ('pending', 'running');
CREATE INDEX IF NOT EXISTS runs_retried ON runs (retry_of) WHERE retry_of IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS runs_once ON runs (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- How many runs a user has in each state, kept by the triggers below: totals of lists and quotas.
CREATE TABLE IF NOT EXISTS run_counts (
    user_id TEXT NOT NULL,
    kind    TEXT NOT NULL,
    status  TEXT NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (user_id, kind, status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS runs_count_new AFTER INSERT ON runs BEGIN
    INSERT INTO run_counts VALUES (new.user_id, new.kind, new.status, 1)
    ON CONFLICT DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS runs_count_move AFTER UPDATE OF status ON runs
WHEN old.status IS NOT new.status BEGIN
    UPDATE run_counts SET number = number - 1
    WHERE user_id = old.user_id AND kind = old.kind AND status = old.status;
    INSERT INTO run_counts VALUES (new.user_id, new.kind, new.status, 1)
    ON CONFLICT DO UPDATE SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS runs_count_gone AFTER DELETE ON runs BEGIN
    UPDATE run_counts SET number = number - 1
    WHERE user_id = old.user_id AND kind = old.kind AND status = old.status;
END;

-- The jobs of a run, from its events; `id` counts from 1 in the order in which they were planned.
CREATE TABLE IF NOT EXISTS run_jobs (
    run_id        TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    id            INTEGER NOT NULL,
    job           TEXT NOT NULL,
    rule          TEXT NOT NULL,
    verdict       TEXT,                          -- run, skip, check or blocked, as planned
    status        TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running',
                  'success', 'failed', 'skipped', 'blocked', 'cancelled')),
    attempt       INTEGER,
    exit_code     INTEGER,
    started_at    TEXT,
    finished_at   TEXT,
    duration_secs REAL,
    cpu_secs      REAL,
    peak_mb       REAL,
    read_bytes    INTEGER,
    written_bytes INTEGER,
    reason        TEXT,                          -- why it was skipped or blocked
    error         TEXT,
    stderr_tail   TEXT,                          -- the last of what a failed job wrote there
    PRIMARY KEY (run_id, id),
    UNIQUE (run_id, job)
) STRICT, WITHOUT ROWID;

-- Which rule declared which output, as far as known when the run was submitted, and which job makes
-- it (NULL: a version that did not note it); paths are relative.
CREATE TABLE IF NOT EXISTS run_outputs (
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    path   TEXT NOT NULL,
    rule   TEXT NOT NULL,
    job    TEXT,
    PRIMARY KEY (run_id, path)
) STRICT, WITHOUT ROWID;

-- What happened, in the order in which it became known; the id is what event streams replay from.
CREATE TABLE IF NOT EXISTS events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used twice, also after old rows went
    user_id TEXT NOT NULL,                       -- whose event it is: streams show one's own
    run_id  TEXT,
    seq     INTEGER,                             -- the number the runner gave it
    type    TEXT NOT NULL,
    time    TEXT NOT NULL,
    data    TEXT NOT NULL                        -- JSON object, exactly as streams send it
) STRICT;
CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, id);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run_id, id) WHERE run_id IS NOT NULL;

-- OxiFY graphs, which that API calls workflows: the document as it is served, owned by its author.
CREATE TABLE IF NOT EXISTS graphs (
    id         TEXT PRIMARY KEY,                 -- UUID, as its author chose it or made here
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    document   TEXT NOT NULL,                    -- JSON
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS graphs_of_user ON graphs (user_id, created_at, id);

-- What a graph was at the moments its owner wanted to keep.
CREATE TABLE IF NOT EXISTS graph_versions (
    id            TEXT PRIMARY KEY,              -- UUID v4
    graph_id      TEXT NOT NULL REFERENCES graphs (id) ON DELETE CASCADE,
    version       INTEGER NOT NULL,              -- counts from 1 within the graph
    description   TEXT,
    workflow_name TEXT NOT NULL,
    document      TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    created_by    TEXT NOT NULL,                 -- username
    UNIQUE (graph_id, version)
) STRICT;

-- What an execution is beyond a run of kind 'execution': which graph, and how often it was revived.
CREATE TABLE IF NOT EXISTS executions (
    id       TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    user_id  TEXT NOT NULL,
    graph_id TEXT NOT NULL,                      -- no reference: the history outlives the graph
    revived  INTEGER NOT NULL DEFAULT 0,         -- how often its dead runner was started again
    batch    TEXT,                               -- UUID of those that were started together
    at_once  INTEGER                             -- so many of its batch may have started at a time
) STRICT;
CREATE INDEX IF NOT EXISTS executions_of_batch ON executions (batch) WHERE batch IS NOT NULL;
CREATE INDEX IF NOT EXISTS executions_of_graph ON executions (graph_id, user_id);

-- Approvals and forms: what an execution asked a person, and what was answered.
CREATE TABLE IF NOT EXISTS questions (
    id           TEXT PRIMARY KEY,               -- given by the runner, the same in all its lives
    execution_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    user_id      TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('approval', 'form')),
    node_id      TEXT NOT NULL,
    body         TEXT NOT NULL,                  -- JSON: message or fields, who may answer
    status       TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved',
                 'rejected', 'submitted', 'timed_out', 'closed')),
    requested_at TEXT NOT NULL,
    resolved_at  TEXT,
    resolved_by  TEXT,
    answer       TEXT                            -- JSON: comments or form data
) STRICT;
CREATE INDEX IF NOT EXISTS questions_open ON questions (user_id, requested_at)
    WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS questions_of_execution ON questions (execution_id, requested_at);

-- Moments at which an execution was paused.
CREATE TABLE IF NOT EXISTS checkpoints (
    id                    TEXT PRIMARY KEY,
    execution_id          TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    completed_nodes_count INTEGER NOT NULL,
    current_level         INTEGER NOT NULL,
    reason                TEXT NOT NULL,
    created_at            TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS checkpoints_of_execution ON checkpoints (execution_id, created_at);

-- `.oxoflow` runs that executions started, and the question each of them answers when it ends.
CREATE TABLE IF NOT EXISTS child_runs (
    run_id       TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    execution_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    question_id  TEXT NOT NULL UNIQUE,
    answered     INTEGER NOT NULL DEFAULT 0 CHECK (answered IN (0, 1))
) STRICT;

-- Tool servers (MCP) that a user registered for graphs.
CREATE TABLE IF NOT EXISTS tool_servers (
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    server_id   TEXT NOT NULL,
    server_type TEXT NOT NULL CHECK (server_type IN ('http', 'stdio')),
    body        TEXT NOT NULL,                   -- JSON: endpoint or command, weight, tags
    created_at  TEXT NOT NULL,
    PRIMARY KEY (user_id, server_id)
) STRICT, WITHOUT ROWID;

-- Collections of texts for Retriever nodes.
CREATE TABLE IF NOT EXISTS collections (
    id         INTEGER PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    dimension  INTEGER NOT NULL,                 -- of the vectors; 0: texts only
    provider   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (user_id, name)
) STRICT;

-- The entries of collections; texts stand in tables `collection_texts_<id of the collection>` (FTS5),
-- under the id of their entry.
CREATE TABLE IF NOT EXISTS collection_entries (
    id            INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,                 -- the id that the client gave
    vector        TEXT NOT NULL,                 -- JSON: list of numbers, may be empty
    metadata      TEXT NOT NULL,                 -- JSON object
    UNIQUE (collection_id, name)
) STRICT;
