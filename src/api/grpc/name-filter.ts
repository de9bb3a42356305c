import { createContext, Script } from 'node:vm'
import { EvidenceError } from '../../contracts/errors.js'
import type { RecordedEvent } from '../../ledger/event-store.js'
import type { FilterOptions } from './messages.js'
import { shownName } from './stored-messages.js'

const prefixesMax = 1_024
const patternCharactersMax = 1_024
const rememberedMax = 8_192
/** How long a pattern that could take for ever may take for one name. */
const matchMsMax = 100
/** Events considered between two checkpoints when a filter names no window. */
const windowDefault = 32

/** What a client wants of `$all`, and how often it wants to be told how far that was looked for. */
export interface NameFilter {
  wants(event: RecordedEvent): boolean
  /** Events considered, wanted or not, from one checkpoint to the next. */
  readonly checkpointEvery: number
}

/** @throws EvidenceError REQUEST_INVALID. */
export function nameFilter(options: FilterOptions): NameFilter {
  const { streamIdentifier, eventType, max, checkpointIntervalMultiplier = 1 } = options
  const expression = streamIdentifier ?? eventType
  if (expression === undefined)
    throw new EvidenceError('REQUEST_INVALID', 'the filter is neither on streams nor on types')
  const { regex = '', prefixes = [] } = expression
  if (regex === '' && prefixes.length === 0)
    throw new EvidenceError('REQUEST_INVALID', 'the filter has neither a pattern nor a prefix')
  if (prefixes.length > prefixesMax)
    throw new EvidenceError('REQUEST_INVALID', `a filter has at most ${prefixesMax} prefixes`)
  const fits =
    regex === ''
      ? (name: string) => prefixes.some((prefix) => name.startsWith(prefix))
      : patternTest(regex)
  const nameIn = streamIdentifier === undefined ? 'type' : 'stream'
  return {
    wants: (event) => fits(shownName(event)[nameIn]),
    checkpointEvery: Math.max(1, checkpointIntervalMultiplier) * Math.max(1, max ?? windowDefault),
  }
}

/**
 * Whether a name matches a pattern of a client. A pattern that repeats what repeats can take longer than the
 * universe; it is given a bounded time, and the answer for a name is remembered.
 */
function patternTest(pattern: string): (name: string) => boolean {
  const invalid = (detail: string, cause?: unknown) =>
    new EvidenceError('REQUEST_INVALID', `the pattern of the filter ${detail}`, { cause })
  if (pattern.length > patternCharactersMax)
    throw invalid(`has more than ${patternCharactersMax} characters`)
  let expression: RegExp
  try {
    expression = new RegExp(pattern)
  } catch (cause) {
    throw invalid('is no regular expression', cause)
  }
  if (isHarmless(pattern)) return (name) => expression.test(name)

  const context = createContext({ pattern, name: '' })
  const script = new Script('new RegExp(pattern).test(name)')
  const remembered = new Map<string, boolean>()
  return (name) => {
    const known = remembered.get(name)
    if (known !== undefined) return known
    context['name'] = name
    let fits: boolean
    try {
      fits = script.runInContext(context, { timeout: matchMsMax }) === true
    } catch (cause) {
      throw invalid(`takes more than ${matchMsMax} ms for one name`, cause)
    }
    if (remembered.size >= rememberedMax) remembered.clear()
    remembered.set(name, fits)
    return fits
  }
}

/** Repeats little enough, and no group: what it costs grows at worst with the third power of a short name. */
const isHarmless = (pattern: string): boolean => {
  const plain = pattern.replaceAll(/\\./g, 'a').replaceAll(/\[[^\]]*\]/g, 'a')
  const repeats = plain.match(/[*+]|\{\d*,\d*\}/g) ?? []
  return repeats.length <= 2 && !/\)(?:[*+?]|\{)/.test(plain)
}
