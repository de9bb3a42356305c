import type { RecordedEvent } from '../../ledger/event-store.js'
import type { AnswerType } from '../graph-queries.js'

/** What the thread of the store is asked, one after the other. */
export type GraphCall =
  | {
      readonly call: 'load'
      readonly project: string
      readonly ledger: string
      readonly events: readonly RecordedEvent[]
    }
  | { readonly call: 'forget'; readonly project: string }
  | {
      readonly call: 'ask'
      readonly project: string
      readonly query: string
      readonly type: AnswerType
    }

export type GraphReply =
  | { readonly reply: 'done' }
  | { readonly reply: 'answer'; readonly text: string }
  | {
      readonly reply: 'refused'
      readonly code: 'SPARQL_INVALID' | 'GRAPH_QUERY_TOO_COSTLY'
      readonly detail: string
    }
