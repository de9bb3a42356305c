import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router'
import * as z from 'zod'
import { ProposalStatus } from '../contracts/http.js'
import { AssetsPage } from './assets-page.js'
import { AssetPage } from './asset-page.js'
import { EventsPage } from './events-page.js'
import { Frame } from './frame.js'
import { HomePage } from './home-page.js'
import { Empty, ProblemNote } from './parts.js'
import { proposalTabs } from './proposal-tabs.js'
import { ProposalsPage } from './proposals-page.js'

const optionalText = (lengthMax: number) => z.string().max(lengthMax).optional().catch(undefined)

const ProposalsSearch = z.object({
  status: ProposalStatus.optional().catch(undefined),
  asset: optionalText(128),
})
const NewSearch = z.object({ asset: optionalText(128), operation: optionalText(64) })
const ProposalSearch = z.object({
  tab: z.enum(proposalTabs).optional().catch(undefined),
  event: optionalText(64),
})
const AssetSearch = z.object({ at: optionalText(64) })
const EventsSearch = z.object({ type: optionalText(256), stream: optionalText(512) })

const root = createRootRoute({
  component: Frame,
  notFoundComponent: () => (
    <Empty title="There is no such page">The address may be mistyped. Start again from Home.</Empty>
  ),
  errorComponent: ({ error }) => <ProblemNote error={error} />,
})

const home = createRoute({ getParentRoute: () => root, path: '/', component: HomePage })
const proposals = createRoute({
  getParentRoute: () => root,
  path: '/proposals',
  validateSearch: ProposalsSearch,
  component: ProposalsPage,
})
const newProposal = createRoute({
  getParentRoute: () => root,
  path: '/proposals/new',
  validateSearch: NewSearch,
  component: lazyRouteComponent(() => import('./new-proposal-page.js'), 'NewProposalPage'),
})
const proposal = createRoute({
  getParentRoute: () => root,
  path: '/proposals/$id',
  validateSearch: ProposalSearch,
  component: lazyRouteComponent(() => import('./proposal-page.js'), 'ProposalPage'),
})
const assets = createRoute({ getParentRoute: () => root, path: '/assets', component: AssetsPage })
const asset = createRoute({
  getParentRoute: () => root,
  path: '/assets/$id',
  validateSearch: AssetSearch,
  component: AssetPage,
})
const events = createRoute({
  getParentRoute: () => root,
  path: '/events',
  validateSearch: EventsSearch,
  component: EventsPage,
})

const tree = root.addChildren([home, proposals, newProposal, proposal, assets, asset, events])

export const makeRouter = () =>
  createRouter({ routeTree: tree, defaultPreload: false, scrollRestoration: true })

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}
