import * as z from 'zod'

/** The type of the events that a metadata stream holds, and nothing else. */
export const streamMetadataType = '$metadata'
export const streamMetadataBytesMax = 65_536

const whole = (least: number, detail: string) =>
  z.number().refine((value) => Number.isInteger(value) && value >= least, detail)

/** Who is meant: a name of a token, `$all`, or `$admins` for the administrator. */
const listed = z.string().min(1).max(256)
const AccessList = z.union([listed, z.array(listed).max(1_024)])

/**
 * Who may do what with a stream, in the form of EventStoreDB. A member that is absent lets everybody do it whose
 * token may. Members of other names are kept and mean nothing.
 */
export const StreamAcl = z.looseObject({
  /** Read the stream. */
  $r: AccessList.optional(),
  /** Append to it. */
  $w: AccessList.optional(),
  /** Delete or end it. */
  $d: AccessList.optional(),
  /** Read its metadata. */
  $mr: AccessList.optional(),
  /** Change its metadata. */
  $mw: AccessList.optional(),
})
export type StreamAcl = z.infer<typeof StreamAcl>

/**
 * What is shown of a stream, in the form of EventStoreDB. It hides events from whoever reads the
 * stream and erases none, and says who may do what. Members of other names are kept and mean nothing here.
 */
export const StreamMetadata = z.looseObject({
  /** Events older than so many seconds are hidden. */
  $maxAge: whole(1, 'a whole number of seconds from 1').optional(),
  /** All but the last so many events are hidden. */
  $maxCount: whole(1, 'a whole number of events from 1').optional(),
  /** Events before this revision are hidden. */
  $tb: whole(0, 'a revision').optional(),
  /** The stream takes no event any more and its metadata no change, for ever. */
  $tombstoned: z.literal(true).optional(),
  $acl: StreamAcl.optional(),
})
export type StreamMetadata = z.infer<typeof StreamMetadata>

/**
 * Metadata as it stands on the ledger: an access list that is malformed, because it was set before access lists
 * meant anything, lets only the administrator in.
 */
export const StoredStreamMetadata = StreamMetadata.extend({
  $acl: StreamAcl.optional().catch({ $r: [], $w: [], $d: [], $mr: [], $mw: [] }),
})
