import * as z from 'zod'

/** A place in `$all` of a server of the EventStoreDB protocol. */
export interface AllPosition {
  readonly commit: bigint
  readonly prepare: bigint
}

/** A place as text: `<commit>/<prepare>`. */
export const AllPositionText = z.string().regex(/^\d{1,20}\/\d{1,20}$/)

export const allPositionText = ({ commit, prepare }: AllPosition): string => `${commit}/${prepare}`

/** The place that a text of the form names. */
export function allPositionOf(text: string): AllPosition {
  const [commit = '', prepare = ''] = text.split('/')
  return { commit: BigInt(commit), prepare: BigInt(prepare) }
}
