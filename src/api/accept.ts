import { EvidenceError } from '../contracts/errors.js'

const acceptCharactersMax = 1_024

/**
 * The media type of these that a request asks for (RFC 9110): the one with the highest weight, the first of
 * equals. Without the header, and for anything, it is the first.
 *
 * @throws EvidenceError CONTENT_TYPE_UNSUPPORTED when it takes none of them.
 */
export function accepted<Type extends string>(
  accept: string | undefined,
  offered: readonly [Type, ...Type[]],
): Type {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const ranges = accept
    .slice(0, acceptCharactersMax)
    .split(',')
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      const q = parameters.find((parameter) => parameter.startsWith('q='))
      return { type, weight: q === undefined ? 1 : Number(q.slice(2)) }
    })
  const weightOf = (offer: string): number => {
    const [family] = offer.split('/')
    // The most specific range rules.
    for (const wanted of [offer, `${family}/*`, '*/*']) {
      const range = ranges.find(({ type }) => type === wanted)
      if (range !== undefined) return Number.isNaN(range.weight) ? 0 : range.weight
    }
    return 0
  }
  let best: { readonly offer: Type; readonly weight: number } | undefined
  for (const offer of offered) {
    const weight = weightOf(offer)
    if (weight > (best?.weight ?? 0)) best = { offer, weight }
  }
  if (best !== undefined) return best.offer
  throw new EvidenceError(
    'CONTENT_TYPE_UNSUPPORTED',
    `this is answered as ${offered.join(', ')}, none of which the Accept header takes`,
  )
}
