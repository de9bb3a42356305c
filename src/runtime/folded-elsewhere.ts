import { EvidenceError } from '../contracts/errors.js'
import type { WarehouseQueries } from '../projections/warehouse.js'

/** How far a table was folded. */
interface Folded {
  readonly table: string
  readonly position: number
}

const positionsSql =
  'SELECT table_name, toString(argMax(position, step)) AS position FROM projection_positions GROUP BY table_name'

/** The fact tables that a projector in another process folds, as the warehouse tells of them. */
export function foldedElsewhere(queries: WarehouseQueries) {
  let known: readonly Folded[] = []
  return {
    progress: () => known,
    async refresh(): Promise<void> {
      const rows = await queries.query(positionsSql, {})
      known = rows.flatMap(({ table_name: table, position }) =>
        typeof table === 'string' ? { table, position: Number(position) } : [],
      )
    },
    rebuild: async (): Promise<never> => {
      throw new EvidenceError(
        'WAREHOUSE_UNAVAILABLE',
        'the projector runs in another process: stop that one, remove its tables, and start it again',
      )
    },
  }
}
