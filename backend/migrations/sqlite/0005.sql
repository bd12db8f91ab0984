-- Every orchestrator that was seen. backend: the instance that it is connected
-- to. drained: somebody said that it takes no more jobs; accepting = 0: it
-- said so itself, with code and problem. snapshot, pods: JSON, as it sent
-- them.
CREATE TABLE agents (
  name TEXT NOT NULL PRIMARY KEY,
  executors TEXT NOT NULL,
  slots INTEGER NOT NULL,
  labels TEXT NOT NULL,
  address TEXT NOT NULL,
  backend TEXT,
  drained INTEGER NOT NULL DEFAULT 0,
  accepting INTEGER NOT NULL DEFAULT 1,
  code TEXT,
  problem TEXT,
  connected_ms INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL,
  snapshot BLOB,
  pods BLOB
) STRICT, WITHOUT ROWID;

-- What jobs wait for: an executor, an agent ('': any), labels ('': none). A
-- claim looks at those that suit its agent. used_ms: to the minute.
CREATE TABLE placements (
  id INTEGER PRIMARY KEY,
  executor TEXT NOT NULL,
  want_agent TEXT NOT NULL,
  want_labels TEXT NOT NULL,
  used_ms INTEGER NOT NULL,
  UNIQUE (executor, want_agent, want_labels)
) STRICT;
INSERT INTO placements (executor, want_agent, want_labels, used_ms)
  SELECT DISTINCT executor, coalesce(want_agent, ''), '', 0 FROM jobs
  WHERE state < 3;

-- turn: its place in the queue; seq decides between equals. The lines are the
-- sessions, and all jobs without one. served_turn: the highest that was
-- claimed.
ALTER TABLE jobs ADD COLUMN placement INTEGER;
ALTER TABLE jobs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET placement = (SELECT id FROM placements p WHERE
  p.executor = jobs.executor AND p.want_agent = coalesce(jobs.want_agent, '')
  AND p.want_labels = '') WHERE state < 3;
INSERT OR IGNORE INTO counters VALUES ('served_turn', 0);
DROP INDEX jobs_queue;
CREATE INDEX jobs_queue ON jobs (placement, turn, seq)
  WHERE state = 0 AND not_before_ms = 0 AND held = 0;
CREATE INDEX jobs_line ON jobs (coalesce(session, 0), turn)
  WHERE state = 0;
