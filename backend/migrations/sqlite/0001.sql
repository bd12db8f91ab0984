CREATE TABLE meta (
  name TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('variable_version', 0);

-- seq: the order of submission, which is that of the queue.
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  idempotency_key TEXT,
  name TEXT NOT NULL,
  runtime TEXT NOT NULL,
  executor TEXT NOT NULL,
  state INTEGER NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  cancel_reason TEXT,
  reason TEXT,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  script_bytes INTEGER NOT NULL,
  input_bytes INTEGER NOT NULL,
  output_bytes INTEGER NOT NULL DEFAULT -1,
  labels BLOB
) STRICT;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_queue ON jobs (executor, seq) WHERE state = 0;
CREATE INDEX jobs_state ON jobs (state, seq);

-- Counting 100,000 waiting jobs at each submit would be slow.
CREATE TABLE job_counts (
  state INTEGER PRIMARY KEY,
  n INTEGER NOT NULL
) STRICT;
INSERT INTO job_counts VALUES (0, 0), (1, 0), (2, 0), (3, 0),
  (4, 0), (5, 0), (6, 0), (7, 0);
CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN
  UPDATE job_counts SET n = n + 1 WHERE state = new.state;
END;
CREATE TRIGGER jobs_deleted AFTER DELETE ON jobs BEGIN
  UPDATE job_counts SET n = n - 1 WHERE state = old.state;
END;
CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs
  WHEN old.state <> new.state BEGIN
  UPDATE job_counts SET n = n - 1 WHERE state = old.state;
  UPDATE job_counts SET n = n + 1 WHERE state = new.state;
END;

-- One for each claim; (job, epoch) names it. state is the job's while it is
-- live; 0 once it was given back or its lease ran out before it was started.
-- lease_until_ms is NULL unless it is live. log_received: payload bytes that
-- it sent; log_bytes, log_dropped: of the job's whole log, up to and with this
-- execution.
CREATE TABLE executions (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  epoch INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  state INTEGER NOT NULL,
  agent TEXT NOT NULL,
  executor TEXT,
  pod TEXT,
  claimed_ms INTEGER NOT NULL,
  started_ms INTEGER NOT NULL DEFAULT 0,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  lease_until_ms INTEGER,
  condition INTEGER,
  exit_code INTEGER,
  signal INTEGER NOT NULL DEFAULT 0,
  oom_killed INTEGER NOT NULL DEFAULT 0,
  user_us INTEGER NOT NULL DEFAULT 0,
  system_us INTEGER NOT NULL DEFAULT 0,
  max_rss_kb INTEGER NOT NULL DEFAULT 0,
  log_received INTEGER NOT NULL DEFAULT 0,
  log_bytes INTEGER NOT NULL,
  log_dropped INTEGER NOT NULL,
  UNIQUE (job, epoch)
) STRICT;
CREATE INDEX executions_lease ON executions (lease_until_ms)
  WHERE lease_until_ms IS NOT NULL;

-- kind: enum store_payload; 0 is the specification.
CREATE TABLE payloads (
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  kind INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (job, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_chunks (
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  offset INTEGER NOT NULL,
  stream INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (job, offset)
) STRICT, WITHOUT ROWID;

-- A secret's value is sealed; bytes is always that of the plain one.
CREATE TABLE variables (
  key TEXT NOT NULL PRIMARY KEY,
  secret INTEGER NOT NULL,
  version INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- First results of writes with an Idempotency-Key, until the execution ends.
-- value is sealed.
CREATE TABLE repeats (
  execution INTEGER NOT NULL REFERENCES executions
    ON DELETE CASCADE,
  key TEXT NOT NULL,
  digest BLOB NOT NULL,
  version INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  secret INTEGER NOT NULL,
  created INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  value BLOB,
  PRIMARY KEY (execution, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  who TEXT,
  action TEXT NOT NULL,
  target TEXT,
  result TEXT NOT NULL,
  job TEXT,
  execution TEXT,
  trace_id TEXT
) STRICT;
CREATE INDEX audit_execution ON audit (execution, id)
  WHERE execution IS NOT NULL;

CREATE TABLE api_keys (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL,
  last_used_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
