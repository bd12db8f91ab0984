ALTER TABLE jobs ADD COLUMN want_agent TEXT;
ALTER TABLE jobs ADD COLUMN parent TEXT;
ALTER TABLE jobs ADD COLUMN input_from TEXT;
ALTER TABLE jobs ADD COLUMN trace_id TEXT;
ALTER TABLE jobs ADD COLUMN input_stream INTEGER NOT NULL
  DEFAULT 1;
ALTER TABLE jobs ADD COLUMN bound INTEGER NOT NULL DEFAULT 0;

-- Those that wait for an agent apart, so that they are in nobody else's way.
DROP INDEX jobs_queue;
CREATE INDEX jobs_queue ON jobs (executor, want_agent, seq)
  WHERE state = 0;
CREATE INDEX jobs_parent ON jobs (parent)
  WHERE parent IS NOT NULL;

-- Those that are cancelled when their parent ends.
CREATE INDEX jobs_bound ON jobs (parent)
  WHERE bound = 1 AND state < 3;

-- kind: enum store_stream_kind. records: how many there are, which is the
-- number of the next one. ended: nothing more will come. swept: what is not
-- needed once its job has ended was removed. A job whose stream was never
-- touched has no row.
CREATE TABLE streams (
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  kind INTEGER NOT NULL,
  records INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  swept INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (job, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_unswept ON streams (job, kind)
  WHERE swept = 0;

-- One for each append: records first to first + n - 1, each a line with its
-- newline. at: bytes of the stream before them.
CREATE TABLE stream_chunks (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  kind INTEGER NOT NULL,
  first INTEGER NOT NULL,
  at INTEGER NOT NULL,
  n INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX stream_chunks_at
  ON stream_chunks (job, kind, first);

-- Appends with an Idempotency-Key, until the job ends. next is what they were
-- answered with.
CREATE TABLE stream_keys (
  job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  kind INTEGER NOT NULL,
  key TEXT NOT NULL,
  digest BLOB NOT NULL,
  next INTEGER NOT NULL,
  PRIMARY KEY (job, kind, key)
) STRICT, WITHOUT ROWID;

-- The last changes of variables, oldest first. value is sealed where secret;
-- NULL where the variable was deleted, or the value was too large to keep
-- twice (kept = 0).
CREATE TABLE variable_changes (
  version INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  deleted INTEGER NOT NULL,
  secret INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  value BLOB
) STRICT;
CREATE INDEX variable_changes_key
  ON variable_changes (key, version);

-- Those with an execution have an index of their own.
CREATE INDEX audit_job ON audit (job, id)
  WHERE job IS NOT NULL AND execution IS NULL;

-- Tool actions with an Idempotency-Key, until the execution ends. status 0:
-- begun, outcome unknown. result is sealed.
CREATE TABLE tool_calls (
  execution INTEGER NOT NULL REFERENCES executions
    ON DELETE CASCADE,
  key TEXT NOT NULL,
  digest BLOB NOT NULL,
  begun_ms INTEGER NOT NULL,
  status INTEGER NOT NULL DEFAULT 0,
  result BLOB,
  PRIMARY KEY (execution, key)
) STRICT, WITHOUT ROWID;
