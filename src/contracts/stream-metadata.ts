import * as z from 'zod'

/** The type of the events that a metadata stream holds, and nothing else. */
export const streamMetadataType = '$metadata'
export const streamMetadataBytesMax = 65_536

const whole = (least: number, detail: string) =>
  z.number().refine((value) => Number.isInteger(value) && value >= least, detail)

/**
 * What is shown of a stream, in the form of EventStoreDB. It hides events from whoever reads the
 * stream and erases none. Members of other names are kept and mean nothing here.
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
})
export type StreamMetadata = z.infer<typeof StreamMetadata>
