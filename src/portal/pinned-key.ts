import * as z from 'zod'
import { Timestamp } from '../contracts/identifiers.js'
import { VerifierKey } from '../contracts/ledger.js'

const place = 'fractalops.pinned-key'
const Pin = z.strictObject({ vkey: VerifierKey, since: Timestamp })
export type Pin = z.infer<typeof Pin>

export type PinState =
  | { readonly status: 'pinned-now' | 'same'; readonly pin: Pin }
  | { readonly status: 'changed'; readonly pin: Pin; readonly offered: string }

function readPin(): Pin | undefined {
  const text = window.localStorage.getItem(place)
  if (text === null) return undefined
  try {
    return Pin.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** Compares the key that the service offers with the one kept here; the first one seen is kept. */
export function pinKey(offered: string): PinState {
  const kept = readPin()
  if (kept !== undefined) {
    return kept.vkey === offered
      ? { status: 'same', pin: kept }
      : { status: 'changed', pin: kept, offered }
  }
  const pin = { vkey: offered, since: new Date().toISOString() }
  window.localStorage.setItem(place, JSON.stringify(pin))
  return { status: 'pinned-now', pin }
}

/** For a person who has compared the keys by another way. */
export const replacePin = (vkey: string): void => {
  window.localStorage.setItem(place, JSON.stringify({ vkey, since: new Date().toISOString() }))
}
