-- How far each fact table is folded; the row with the highest step rules.
CREATE TABLE IF NOT EXISTS projection_positions (
  table_name String,
  step UInt64 COMMENT 'counts the writes about one table',
  version UInt32 COMMENT 'of the projector',
  epoch UInt32 COMMENT 'counts how often the table was created anew; part of every deduplication token',
  state LowCardinality(String) COMMENT 'creating or ready',
  position UInt64 COMMENT 'every event below it is folded',
  planned_to UInt64 COMMENT 'end of the range being written; equal to position when there is none'
)
ENGINE = ReplacingMergeTree(step)
ORDER BY table_name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
