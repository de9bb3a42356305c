import type { Difference } from '../contracts/asset.js'
import { canonicalText } from '../contracts/canonical-json.js'

/** What JSON can say. */
export type Json = NonNullable<Difference['after']> | null
type Members = Readonly<Record<string, Json>>

/** As many differences as one event may carry; a wider one is told by its parent's value instead. */
export const differencesMax = 256

const escaped = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1')

const membersOf = (value: Json | undefined): Members | undefined => {
  if (Array.isArray(value)) return Object.fromEntries(value.entries())
  return typeof value === 'object' && value !== null ? value : undefined
}

const isSame = (a: Json | undefined, b: Json | undefined): boolean =>
  a === undefined || b === undefined ? a === b : canonicalText(a) === canonicalText(b)

function* walk(pointer: string, before?: Json, after?: Json): Generator<Difference> {
  if (isSame(before, after)) return
  const [a, b] = [membersOf(before), membersOf(after)]
  if (a === undefined || b === undefined || Array.isArray(before) !== Array.isArray(after)) {
    yield {
      pointer,
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    }
    return
  }
  // Members of the first keep their order; what only the second has follows.
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    yield* walk(`${pointer}/${escaped(name)}`, a[name], b[name])
  }
}

/**
 * Where two JSON values differ, each place by its RFC 6901 pointer. An array is compared by index.
 * When there are more than `max` places, one difference of the whole stands for all of them.
 */
export function differences(before: Json, after: Json, max = differencesMax): Difference[] {
  const found: Difference[] = []
  for (const difference of walk('', before, after)) {
    if (found.length === max) return [{ pointer: '', before, after }]
    found.push(difference)
  }
  return found
}
