import type { Domain } from './compose.js'
import type { GraphQueries } from './ontology/graph-queries.js'
import type { GraphShapes } from './ontology/graph-shapes.js'
import type { GraphText } from './ontology/graph-text.js'
import { streamsOf } from './proposals/kinds.js'
import type { ProposalDesk } from './proposals/proposal.js'
import type { LedgerView } from './runtime/ledger-view.js'
import { createLineage, ledgerIdOf, type Lineage } from './runtime/lineage-view.js'

/** What the API answers about lineage, over a ledger that is only read. */
export interface LineageParts {
  readonly lineage: Lineage
  readonly graphText: GraphText
  readonly graphs: Pick<GraphQueries, 'ask'>
}

export function openLineage({ view, desk }: Pick<Domain, 'view' | 'desk'>): LineageParts {
  return { lineage: lineageOver(view, desk), graphText: lateGraphText, graphs: lateGraphs(view) }
}

export const lineageOver = (view: LedgerView, desk: Pick<ProposalDesk, 'get' | 'list'>): Lineage =>
  createLineage({
    reader: view,
    origin: view.origin,
    shapes: lateShapes(),
    async streamsOfProposal(project, id) {
      const proposal = await desk.get(project, id)
      return proposal === undefined ? [] : streamsOf(proposal)
    },
    proposalsAbout: async (project, assetId) =>
      (await desk.list(project, { assetId })).map(({ id }) => id),
  })

/** Loaded with the first question: packages for RDF are many, and most commands need none. */
function lateShapes(): GraphShapes {
  let opened: Promise<GraphShapes> | undefined
  const open = async () => (await import('./ontology/adapters/shacl.js')).openShapes()
  return {
    async check(graph) {
      opened ??= open()
      return (await opened).check(graph)
    },
  }
}

const openText = async () => (await import('./ontology/adapters/graph-text.js')).graphText

export const lateGraphText: GraphText = {
  turtle: async (quads) => (await openText()).turtle(quads),
  trig: async (quads) => (await openText()).trig(quads),
}

/** Without a question there is no thread and no memory. The thread keeps no process alive, and ends with it. */
export function lateGraphs(view: LedgerView): Pick<GraphQueries, 'ask'> {
  let opened: Promise<GraphQueries> | undefined
  const open = async () =>
    (await import('./ontology/adapters/graph-thread.js')).openGraphThread({
      reader: view,
      ledger: ledgerIdOf(view.origin),
    })
  return {
    async ask(project, query, type) {
      opened ??= open()
      return (await opened).ask(project, query, type)
    },
  }
}
