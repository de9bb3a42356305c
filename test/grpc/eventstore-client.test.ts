import t from 'tap'
import { accessByClient } from '../integration/shared/event-store-access.js'
import { streamsOfClient } from '../integration/shared/event-store-client.js'
import { deletionByClient } from '../integration/shared/event-store-deletion.js'
import { linksOfClient } from '../integration/shared/event-store-links.js'
import { subscriptionsOfClient } from '../integration/shared/event-store-subscriptions.js'
import { clientPackage } from '../support/grpc.js'

const lib = await clientPackage('@eventstore/db-client')

streamsOfClient(t, lib)
subscriptionsOfClient(t, lib)
deletionByClient(t, lib)
accessByClient(t, lib)
linksOfClient(t, lib)
