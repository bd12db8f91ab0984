-- What an execution used. -1: nobody has measured it. The other three figures
-- were 0 then, before this step.
ALTER TABLE executions
  ADD COLUMN peak_memory_bytes BIGINT NOT NULL DEFAULT -1,
  ADD COLUMN read_bytes BIGINT NOT NULL DEFAULT -1,
  ADD COLUMN write_bytes BIGINT NOT NULL DEFAULT -1;

-- How the machine was before and after an execution: JSON, as its agent told
-- it. Apart, for it is big and seldom read.
CREATE TABLE telemetry (
  execution BIGINT PRIMARY KEY REFERENCES executions ON DELETE CASCADE,
  data BYTEA NOT NULL
);
