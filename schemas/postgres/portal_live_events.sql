-- The live messages of the ledger, one row an event: references only, no payload.
-- Written by the service alone, each position once; whoever shows them reads, subscribes to the
-- publication, or listens to the channel portal_live_events ({"from": first, "to": behind the last}).
CREATE TABLE IF NOT EXISTS portal_live_events (
  position    bigint PRIMARY KEY,
  event_id    uuid NOT NULL UNIQUE,
  project     text NOT NULL,
  type        text NOT NULL,
  stream      text NOT NULL,
  revision    bigint NOT NULL,
  time        timestamptz NOT NULL,
  actor       text NOT NULL,
  proposal_id uuid,
  asset_id    text
);
CREATE INDEX IF NOT EXISTS portal_live_events_proposal
  ON portal_live_events (proposal_id, position) WHERE proposal_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS portal_live_events_asset
  ON portal_live_events (project, asset_id, position) WHERE asset_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS portal_live_events_time ON portal_live_events (time);

-- How far the table holds the ledger: every event below the position, except what was forgotten by age.
CREATE TABLE IF NOT EXISTS portal_live_position (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  origin   text NOT NULL,
  position bigint NOT NULL
);

DO $$
BEGIN
  CREATE PUBLICATION portal_live_events FOR TABLE portal_live_events;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
