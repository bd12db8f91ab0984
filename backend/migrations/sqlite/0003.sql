-- signature: of the script. Jobs from before are signed here and at no other
-- time: a signature that somebody took away is not made again.
ALTER TABLE jobs ADD COLUMN signature TEXT;
UPDATE jobs SET signature = sign_script((SELECT data FROM
  payloads WHERE job = jobs.seq AND kind = 1));

-- How often a job that failed is tried again, and the waits in between.
-- failed_ms: when it first did. not_before_ms: it is queued, but waits until
-- then; 0 for all that may be claimed.
ALTER TABLE jobs ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN backoff_initial_ms INTEGER NOT NULL
  DEFAULT 0;
ALTER TABLE jobs ADD COLUMN backoff_max_ms INTEGER NOT NULL
  DEFAULT 0;
ALTER TABLE jobs ADD COLUMN backoff_elapsed_ms INTEGER NOT NULL
  DEFAULT 0;
ALTER TABLE jobs ADD COLUMN failed_ms INTEGER NOT NULL
  DEFAULT 0;
ALTER TABLE jobs ADD COLUMN not_before_ms INTEGER NOT NULL
  DEFAULT 0;
DROP INDEX jobs_queue;
CREATE INDEX jobs_queue ON jobs (executor, want_agent, seq)
  WHERE state = 0 AND not_before_ms = 0;
CREATE INDEX jobs_waiting ON jobs (not_before_ms)
  WHERE not_before_ms > 0;

-- Where the executor ssh finds its hosts.
CREATE TABLE hosts (
  name TEXT NOT NULL PRIMARY KEY,
  user TEXT NOT NULL,
  address TEXT NOT NULL,
  port INTEGER NOT NULL,
  host_key TEXT,
  mode TEXT NOT NULL,
  read_only INTEGER NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE jobs ADD COLUMN host TEXT;
