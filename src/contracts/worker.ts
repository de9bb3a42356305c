import * as z from 'zod'
import { ActorName, Project, Sha256Hex, Timestamp } from './identifiers.js'

/** The components that a process without the ledger may run against one that has it. */
export const remoteComponents = [
  'warehouse',
  'api',
  'worker',
  'execution-runtime',
  'projector',
] as const
export const RemoteComponent = z.enum(remoteComponents)
export type RemoteComponent = z.infer<typeof RemoteComponent>

/** What a proposal to enrol a process says of it: by its key it is known, and until when. */
export const WorkerEnrolment = z.strictObject({
  name: ActorName,
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER) of its client certificate. */
  public_key_sha256: Sha256Hex,
  components: z.array(RemoteComponent).min(1).max(remoteComponents.length),
  /** The only project it may append to; absent = every one. */
  project: Project.optional(),
  expires_at: Timestamp,
})
export type WorkerEnrolment = z.infer<typeof WorkerEnrolment>

/** What a proposal to end an enrolment says. */
export const WorkerRevocation = z.strictObject({ name: ActorName })
export type WorkerRevocation = z.infer<typeof WorkerRevocation>
