import type { Erasures } from '../../src/contracts/erasure.js'
import { utf8 } from '../../src/ledger/encoding.js'
import type { EventDraft } from '../../src/ledger/event-store.js'
import { draft, request } from './ledger.js'

/** A request whose one event tells of erasures. */
export const erasing = (erasures: Erasures, fields: Partial<EventDraft> = {}) =>
  request({
    stream: 'evidence-x',
    events: [
      draft({
        type: 'evidence.redacted',
        version: '1',
        writer: 'activity',
        data: utf8(JSON.stringify({ erasures })),
        ...fields,
      }),
    ],
  })
