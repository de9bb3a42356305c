import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { api, type EventFilter, type ProposalFilter } from './api.js'

/** How many pages a list holds before it asks for a narrower filter. */
export const pagesMax = 20
/** How many assets the pickers offer; beyond it an id is typed. */
export const assetChoicesMax = 500

interface Page {
  readonly next_cursor: string | null
  readonly has_more: boolean
}

const paging = {
  initialPageParam: null as string | null,
  getNextPageParam: (last: Page, pages: readonly Page[]) =>
    last.has_more && pages.length < pagesMax ? last.next_cursor : undefined,
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: () => api.session(),
  staleTime: 60_000,
})

export const hudQuery = queryOptions({
  queryKey: ['hud'],
  queryFn: () => api.hud(),
  // Parts of the service change without an event on the ledger.
  refetchInterval: 10_000,
})

export const proposalsQuery = (filter: ProposalFilter) =>
  infiniteQueryOptions({
    queryKey: ['proposals', filter],
    queryFn: ({ pageParam }) => api.proposals(filter, pageParam),
    ...paging,
  })

export const proposalQuery = (id: string) =>
  queryOptions({ queryKey: ['proposal', id], queryFn: () => api.proposal(id) })

export const assetsQuery = infiniteQueryOptions({
  queryKey: ['assets', 'list'],
  queryFn: ({ pageParam }) => api.assets(pageParam),
  ...paging,
})

export const assetChoicesQuery = queryOptions({
  queryKey: ['assets', 'choices'],
  queryFn: () => api.assets(null, assetChoicesMax),
})

export const assetQuery = (id: string, at: string | undefined) =>
  queryOptions({ queryKey: ['asset', id, at ?? 'now'], queryFn: () => api.asset(id, at) })

export const eventsQuery = (filter: EventFilter) =>
  infiniteQueryOptions({
    queryKey: ['events', filter],
    queryFn: ({ pageParam }) => api.events(filter, pageParam),
    ...paging,
  })

export const proofQuery = (event: string) =>
  queryOptions({ queryKey: ['proof', event], queryFn: () => api.proof(event), staleTime: Infinity })

export const checkpointKeyQuery = queryOptions({
  queryKey: ['checkpoint-key'],
  queryFn: () => api.checkpointKey(),
})
