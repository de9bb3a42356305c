import type { FactCheckView } from '../contracts/fact-check.js'
import type { HudView } from '../contracts/http.js'
import { projectionChecked, projectionRebuilt } from '../contracts/projection.js'
import type { EventReader } from '../ledger/event-store.js'
import { dataOf, isOf, metadataOf } from '../ledger/facts.js'
import { ledgerProject } from '../ledger/stream-name.js'

/** Events of a table that are looked at for its last check; a check and its repair are two each. */
const lookedAtMax = 8

type TableView = FactCheckView['tables'][number]

/** What the last check of every table found; tables that were never checked are not there. */
export async function lastChecks(
  reader: Pick<EventReader, 'readStream'>,
  tables: readonly string[],
): Promise<readonly TableView[]> {
  const found: TableView[] = []
  for (const table of tables) {
    const last = await lastCheck(reader, table)
    if (last !== undefined) found.push(last)
  }
  return found
}

async function lastCheck(
  reader: Pick<EventReader, 'readStream'>,
  table: string,
): Promise<TableView | undefined> {
  let rebuiltAt: string | null = null
  let last: Omit<TableView, 'follows_repair'> | undefined
  const read = { project: ledgerProject, stream: `projection-${table}`, max: lookedAtMax }
  for await (const event of reader.readStream({ ...read, direction: 'backwards' })) {
    const checkId = metadataOf(event).correlation_id ?? ''
    if (last !== undefined && checkId !== last.check_id) break
    if (isOf(projectionRebuilt, event)) {
      if (last !== undefined) return { ...last, follows_repair: true }
      rebuiltAt ??= event.leaf.time
    }
    if (last !== undefined || !isOf(projectionChecked, event)) continue
    const data = dataOf(projectionChecked, event)
    if (data === undefined) continue
    const { projector_version: _, ...shown } = data
    last = {
      ...shown,
      event_id: event.leaf.id,
      checked_at: event.leaf.time,
      check_id: checkId,
      rebuilt_at: rebuiltAt,
    }
  }
  return last === undefined ? undefined : { ...last, follows_repair: false }
}

/** How the last checks stand, in words. */
export function factHealth(checks: readonly TableView[]): HudView['parts'][number] {
  const name = 'facts'
  if (checks.length === 0)
    return {
      name,
      status: 'ok',
      detail: 'not yet compared with the ledger: "fractalops check facts"',
    }
  const wrong = checks.filter(({ state, rebuilt_at }) => state !== 'sound' && rebuilt_at === null)
  const first = wrong[0]
  if (first !== undefined) {
    const place = first.found[0]
    const at = place === undefined ? '' : `, ${place.kind} row at position ${place.position}`
    return {
      name,
      status: 'lagging',
      detail: `${wrong.map(({ table }) => table).join(', ')} ${wrong.length === 1 ? 'is' : 'are'} not what the ledger folds to${at}: "fractalops check facts --repair"`,
    }
  }
  const oldest = checks.reduce((a, b) => (a.checked_at < b.checked_at ? a : b))
  return {
    name,
    status: 'ok',
    detail: `${checks.length} tables hold what the ledger folds to, compared to position ${oldest.position} at ${oldest.checked_at}`,
  }
}
