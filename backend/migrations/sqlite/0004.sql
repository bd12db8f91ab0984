-- state: enum session_state. jobs: how many it was ever given. reason: of its
-- last change.
CREATE TABLE sessions (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL DEFAULT 0,
  jobs INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX sessions_open ON sessions (name) WHERE state < 2;
CREATE INDEX sessions_name ON sessions (name, seq);

-- held: it is queued, but its session is paused. no_wait: it fails where it
-- would have to wait for more than a slot.
ALTER TABLE jobs ADD COLUMN session INTEGER REFERENCES sessions;
ALTER TABLE jobs ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN no_wait INTEGER NOT NULL DEFAULT 0;
DROP INDEX jobs_queue;
CREATE INDEX jobs_queue ON jobs (executor, want_agent, seq)
  WHERE state = 0 AND not_before_ms = 0 AND held = 0;
CREATE INDEX jobs_session ON jobs (session, seq)
  WHERE session IS NOT NULL;
-- Those that can still change, to be counted and changed at once.
CREATE INDEX jobs_session_open ON jobs (session, state)
  WHERE session IS NOT NULL AND state < 3;
CREATE INDEX jobs_no_wait ON jobs (seq)
  WHERE no_wait = 1 AND state = 0 AND not_before_ms = 0;
