import t from 'tap'
import { eventStoreConformance } from '../integration/shared/event-store.js'
import { openEmptyRemote } from '../support/remote.js'

eventStoreConformance(t, openEmptyRemote)
