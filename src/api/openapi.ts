import { buildServer } from './server.js'
import type { ApiParts } from './parts.js'

const unused = (): never => {
  throw new Error('the document is built without a ledger')
}

/** Parts that are there for their types only. */
const noParts: ApiParts = {
  ledger: {
    capabilities: { sequencedOnAppend: true, multiStreamAtomic: true },
    origin: 'fractalops.local/0000000000000000',
    vkey: '',
    keys: [],
    size: unused,
    find: unused,
    lastRevision: unused,
    streamMetadata: unused,
    readStream: unused,
    readLog: unused,
    subscribe: unused,
    checkpoint: unused,
    checkpointCovering: unused,
    checkpointsAfter: unused,
    proveInclusion: unused,
    proveBatch: unused,
    proveConsistency: unused,
    hashTile: unused,
    leaves: unused,
  },
  heads: { prove: unused },
  desk: {
    submit: unused,
    simulate: unused,
    approve: unused,
    reject: unused,
    comment: unused,
    withdraw: unused,
    cancel: unused,
    advance: unused,
    get: unused,
    list: unused,
  },
  identities: {
    authenticate: unused,
    byDigest: unused,
    issue: unused,
    revoke: unused,
    list: unused,
  },
  sessions: {
    cookieName: 'fractalops',
    newCode: unused,
    newLinkPath: unused,
    redeem: unused,
    authenticate: unused,
  },
  recorder: { record: unused },
  clients: { appendClient: unused, appendClientTogether: unused, setStreamMetadata: unused },
  rawLeaves: { addRaw: unused },
  policies: { prepare: unused },
  assets: { list: unused, get: unused, positionAt: unused },
  lineage: { ask: unused },
  graphText: { turtle: unused, trig: unused },
  graphs: { ask: unused },
  queries: { query: unused },
  projections: { progress: unused, rebuild: unused },
  health: unused,
}

/** The OpenAPI document of the routes as they stand; it needs no ledger behind them. */
export async function openApiDocument(): Promise<object> {
  const app = await buildServer(noParts, { host: 'localhost', portalFolder: null })
  await app.ready()
  try {
    return app.swagger()
  } finally {
    await app.close()
  }
}
