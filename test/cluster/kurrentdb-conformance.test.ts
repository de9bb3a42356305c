import t from 'tap'
import { openClusterTest } from '../support/cluster.js'
import { eventStoreConformance } from '../integration/shared/event-store.js'

eventStoreConformance(t, async (t) => (await openClusterTest(t, 'kurrentdb')).ledger)
