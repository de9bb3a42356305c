import t from 'tap'
import { groupsOfClient } from '../integration/shared/event-store-groups.js'
import { clientPackage } from '../support/grpc.js'

groupsOfClient(t, await clientPackage('@kurrent/kurrentdb-client'))
