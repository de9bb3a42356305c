import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import * as z from 'zod'
import { EvidenceError } from '../../contracts/errors.js'
import { VerifierKey } from '../../contracts/ledger.js'
import type { LedgerKey } from '../signing-keys.js'
import { type FilePort, replaceFile } from './file-port.js'

const keysMax = 1_024

/** A key of the ledger; one that signs from the beginning is written as its text alone. */
const Key = z.union([
  VerifierKey.transform((vkey): LedgerKey => ({ vkey, signingFrom: 0 })),
  z
    .strictObject({ vkey: VerifierKey, signing_from: z.int().min(0) })
    .transform(({ vkey, signing_from: signingFrom }): LedgerKey => ({ vkey, signingFrom })),
])
const writtenKey = ({ vkey, signingFrom }: LedgerKey) =>
  signingFrom === 0 ? vkey : { vkey, signing_from: signingFrom }

/** What `ledger.json` in the folder says: whose ledger this is, and which keys signed it so far. */
const Identity = z.strictObject({
  format: z.literal('fractalops/journal/1'),
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  origin: z.string().regex(/^[^\s+\u0000-\u001f]{1,256}$/u),
  /** Oldest first; empty until the creation of the ledger has come so far. */
  keys: z
    .array(Key)
    .max(keysMax)
    .refine(
      (keys) => keys.every((key, i) => key.signingFrom >= (keys[i - 1]?.signingFrom ?? 0)),
      'keys in the order in which they sign',
    ),
  /** There when the ledger was created for interoperability: it takes raw leaves and its tiles are public. */
  interoperability: z.literal(true).optional(),
})
export type LedgerIdentity = Readonly<z.infer<typeof Identity>>

const fileName = 'ledger.json'

/** @throws EvidenceError DATA_FOLDER_INVALID. */
export async function readIdentity(
  files: FilePort,
  folder: string,
): Promise<LedgerIdentity | undefined> {
  const bytes = await files.readWhole(join(folder, fileName))
  if (bytes === undefined) return undefined
  try {
    return Identity.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch (cause) {
    throw new EvidenceError(
      'DATA_FOLDER_INVALID',
      `${fileName} in ${folder} is not that of a ledger`,
      { cause },
    )
  }
}

export const writeIdentity = (
  files: FilePort,
  folder: string,
  identity: LedgerIdentity,
): Promise<void> =>
  replaceFile(
    files,
    join(folder, fileName),
    Buffer.from(`${JSON.stringify({ ...identity, keys: identity.keys.map(writtenKey) })}\n`),
  )

/** The identity of the folder; a folder without one becomes a new ledger, if nothing of another is in it. */
export async function claimFolder(
  files: FilePort,
  folder: string,
  { origin, interoperability }: { readonly origin?: string; readonly interoperability?: boolean },
): Promise<LedgerIdentity> {
  const present = await readIdentity(files, folder)
  if (present !== undefined) {
    if (interoperability === true && present.interoperability !== true) {
      throw new EvidenceError(
        'DATA_FOLDER_INVALID',
        `the ledger in ${folder} was created without interoperability, which is fixed: it takes no raw leaves`,
      )
    }
    if (origin !== undefined && origin !== present.origin) {
      throw new EvidenceError(
        'DATA_FOLDER_INVALID',
        `the ledger in ${folder} has the origin ${present.origin}, which is fixed: it cannot become ${origin}`,
      )
    }
    return present
  }
  const others = (await files.list(folder)).filter(
    (name) => name !== 'lock' && name !== `${fileName}.new`,
  )
  if (others.length > 0) {
    throw new EvidenceError(
      'DATA_FOLDER_INVALID',
      `${folder} holds ${others.slice(0, 3).join(', ')} but no ${fileName}`,
    )
  }
  const identity = Identity.safeParse({
    format: 'fractalops/journal/1',
    origin: origin ?? `fractalops.local/${randomBytes(8).toString('hex')}`,
    keys: [],
    ...(interoperability === true ? { interoperability } : {}),
  })
  if (!identity.success)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      'the origin must be host/path without white space and "+"',
    )
  await writeIdentity(files, folder, identity.data)
  return identity.data
}
