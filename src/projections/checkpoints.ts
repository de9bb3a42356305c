import { hexOf } from '../ledger/encoding.js'
import { placeOf, type Projector } from './projector.js'

/** Every published checkpoint, placed at the last leaf it covers. */
export const checkpoints: Projector = {
  table: 'checkpoints',
  version: 1,
  types: 'all',
  rows: ({ event, checkpoint }) =>
    checkpoint === undefined
      ? []
      : [
          {
            ...placeOf(event),
            size: String(checkpoint.size),
            root: hexOf(checkpoint.root),
            origin: checkpoint.origin,
            note: checkpoint.note,
          },
        ],
}
