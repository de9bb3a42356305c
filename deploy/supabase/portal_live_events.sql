-- Supabase: who is signed in reads the live messages of the projects that the token names, in the claim
-- app_metadata.fractalops_projects (an array of names); nobody writes. Run it once, after the service has
-- made the table.
ALTER TABLE portal_live_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE portal_live_position ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON portal_live_events, portal_live_position FROM anon, authenticated;
GRANT SELECT ON portal_live_events TO authenticated;

DROP POLICY IF EXISTS portal_live_events_of_my_projects ON portal_live_events;
CREATE POLICY portal_live_events_of_my_projects ON portal_live_events
  FOR SELECT TO authenticated
  USING (
    coalesce(
      (nullif(current_setting('request.jwt.claims', true), '')::jsonb
        -> 'app_metadata' -> 'fractalops_projects') ? project,
      false
    )
  );

-- Realtime reads a publication of its own name.
DO $$
BEGIN
  ALTER PUBLICATION supabase_realtime ADD TABLE portal_live_events;
EXCEPTION
  WHEN undefined_object THEN CREATE PUBLICATION supabase_realtime FOR TABLE portal_live_events;
  WHEN duplicate_object THEN NULL;
END $$;
