import { projectionChecked, projectionRebuilt } from '../contracts/projection.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { EventReader } from '../ledger/event-store.js'
import { fact } from '../ledger/facts.js'
import { ledgerProject } from '../ledger/stream-name.js'
import type { Range } from '../projections/warehouse.js'
import type { CheckWish, TableCheck } from './fact-check.js'
import { type FactCheckWish, steps } from './step-names.js'
import { currentRun, recordOnce } from './steps.js'

/** The fact tables of this process, as far as checks need them. */
export interface CheckedFacts {
  check(wish: CheckWish): Promise<readonly TableCheck[]>
  /** Folds a table from 0 while the others wait; answers the position it then stands at. */
  refold(table: string): Promise<number>
}

export type FactActivities = ReturnType<typeof createFactActivities>

const checkIdOf = (workflowId: string, round: string, table: string): string =>
  activityEventId(workflowId, steps.check(round, table), projectionChecked.type)

/** Comparing the fact tables with the ledger, and telling of it. */
export function createFactActivities({
  reader,
  facts,
}: {
  readonly reader: EventReader
  readonly facts: CheckedFacts
}) {
  const tell = async (check: TableCheck, round: string): Promise<void> => {
    const { workflowId } = currentRun()
    const { table } = check
    await recordOnce(reader, {
      project: ledgerProject,
      stream: `projection-${table}`,
      correlationId: workflowId,
      fact: fact(projectionChecked, checkIdOf(workflowId, round, table), {
        table,
        projector_version: String(check.version),
        state: check.state,
        position: String(check.position),
        rows: String(check.rows),
        rows_sha256: check.sha256,
        raw_leaves: String(check.rawLeaves),
        unreadable: String(check.unreadable),
        differences: String(check.differences),
        found: check.shown.map(({ eventId, ...found }) => ({ ...found, event_id: eventId })),
      }),
    })
  }

  const tellMended = async (
    table: string,
    version: number,
    ranges: readonly Range[],
  ): Promise<void> => {
    const { workflowId } = currentRun()
    await recordOnce(reader, {
      project: ledgerProject,
      stream: `projection-${table}`,
      correlationId: workflowId,
      fact: fact(
        projectionRebuilt,
        activityEventId(workflowId, steps.refold(table), projectionRebuilt.type),
        {
          table,
          projector_version: String(version),
          check_id: checkIdOf(workflowId, 'check', table),
          ranges: ranges.map(({ from, to }) => ({
            from: String(from),
            to: Number.isFinite(to) ? String(to) : null,
          })),
        },
      ),
    })
  }

  return {
    /** Records what it found, table by table; answers the tables that are not sound. */
    async checkFacts({
      round,
      tables,
    }: Pick<FactCheckWish, 'tables'> & {
      readonly round: string
    }): Promise<{ readonly unsound: readonly string[] }> {
      const unsound: string[] = []
      for (const check of await facts.check({ tables })) {
        await tell(check, round)
        if (check.state !== 'sound') unsound.push(check.table)
      }
      return { unsound }
    },

    /** Writes anew what differs in tables of which was told that they are not sound. */
    async mendFacts({ tables }: { readonly tables: readonly string[] }): Promise<void> {
      for (const check of await facts.check({ tables, repair: true })) {
        const { table, version, state, repaired } = check
        const ranges =
          state === 'table-missing' ? [{ from: 0, to: await facts.refold(table) }] : repaired
        await tellMended(table, version, ranges)
      }
    },
  }
}
