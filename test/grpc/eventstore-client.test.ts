import t from 'tap'
import { streamsOfClient } from '../integration/shared/event-store-client.js'
import { deletionByClient } from '../integration/shared/event-store-deletion.js'
import { subscriptionsOfClient } from '../integration/shared/event-store-subscriptions.js'
import { clientPackage } from '../support/grpc.js'

const lib = await clientPackage('@eventstore/db-client')

streamsOfClient(t, lib)
subscriptionsOfClient(t, lib)
deletionByClient(t, lib)
