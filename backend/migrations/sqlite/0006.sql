-- What an execution used. -1: nobody has measured it. The other three figures
-- were 0 then, before this step.
ALTER TABLE executions ADD COLUMN peak_memory_bytes INTEGER NOT NULL DEFAULT -1;
ALTER TABLE executions ADD COLUMN read_bytes INTEGER NOT NULL DEFAULT -1;
ALTER TABLE executions ADD COLUMN write_bytes INTEGER NOT NULL DEFAULT -1;

-- How the machine was before and after an execution: JSON, as its agent told
-- it. Apart, for it is big and seldom read.
CREATE TABLE telemetry (
  execution INTEGER PRIMARY KEY REFERENCES executions ON DELETE CASCADE,
  data BLOB NOT NULL
) STRICT;
