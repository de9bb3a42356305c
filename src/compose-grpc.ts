import { randomUUID } from 'node:crypto'
import { type GrpcServer, startGrpcServer } from './api/grpc/server.js'
import type { Domain } from './compose.js'
import { EvidenceError } from './contracts/errors.js'
import { createEnrolledWriter } from './ledger/enrolled-writer.js'
import type { Ledger } from './ledger/ledger.js'
import type { SealedHeads } from './ledger/sealed-heads.js'
import { openGroupFiles } from './runtime/adapters/group-files.js'
import { readPasswordFile } from './runtime/adapters/password-file.js'
import { ownTlsFiles, readTlsFiles } from './runtime/adapters/tls-certificate.js'
import { defaultProject } from './runtime/bootstrap.js'
import type { Closing } from './runtime/closing.js'
import type { Config } from './runtime/config.js'
import type { DataFolder } from './runtime/data-folder.js'
import type { Log } from './runtime/log.js'

/** The protocol of EventStoreDB over the ledger, and our own for enrolled processes: they alone tell of side effects (law 3). */
export async function startGrpc(
  { grpc }: Config,
  ledger: Ledger,
  { view, recorder, clients, identities, workers, now }: Domain,
  parts: { heads: SealedHeads; folder: DataFolder; log: Log; closing: Closing },
): Promise<GrpcServer> {
  const { heads, folder, log, closing } = parts
  const tls =
    grpc.tls === undefined
      ? await ownTlsFiles(folder.keys, grpc.host, now())
      : await readTlsFiles(grpc.tls.certificate, grpc.tls.key)
  const { nameless } = grpc
  const passwords = grpc.users === undefined ? undefined : await readPasswordFile(grpc.users)
  const server = await startGrpcServer(
    {
      ledger: view,
      recorder,
      clients,
      identities,
      groups: openGroupFiles(folder.subscriptions),
      now,
      newId: randomUUID,
      log,
      nameless: nameless === undefined ? undefined : () => identityNamed(identities, nameless),
      users: async (user, password) => {
        const name = passwords?.(user, password)
        return name === undefined ? undefined : identityNamed(identities, name)
      },
      remote: { workers, writer: createEnrolledWriter(ledger, clients), heads, health: ledger },
    },
    { host: grpc.host, port: grpc.port, tls },
  )
  closing.add('grpc', () => server.close())
  return server
}

/** Looked for at every call: the token may be issued later, and revoked. */
async function identityNamed(identities: Domain['identities'], name: string) {
  const found = (await identities.list(defaultProject)).find((one) => one.name === name)
  if (found === undefined)
    throw new EvidenceError(
      'TOKEN_MISSING',
      `this call needs a token: there is none of the name ${name}, whose rights it would have`,
    )
  return identities.byDigest(found.tokenSha256)
}
