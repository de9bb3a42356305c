import * as z from 'zod'
import type { VerifierRule } from './verifier.js'

/** What can be set about the verification in the background, by the name it has in the configuration file. */
export const verifySettings = {
  verify_bytes_per_second: z.coerce.number().int().min(0).max(10_000_000_000),
  verify_pass_seconds: z.coerce.number().int().min(1).max(31_536_000),
}
type Settings = {
  readonly [Name in keyof typeof verifySettings]?:
    z.infer<(typeof verifySettings)[Name]> | undefined
}

export const verifyVariables = {
  FRACTALOPS_VERIFY_BYTES_PER_SECOND: 'verify_bytes_per_second',
  FRACTALOPS_VERIFY_PASS_SECONDS: 'verify_pass_seconds',
} as const satisfies Record<string, keyof Settings>

const bytesPerSecondDefault = 4 * 1024 * 1024
/** The verification works at most this share of the time, whatever the rate in bytes allows. */
const shareMax = 0.1
const passSecondsDefault = 86_400
const roundEveryMs = 3_600_000
const roundLeavesMax = 1_048_576
const startDelayMs = 30_000

/** The rule of the verification; undefined when it is turned off. */
export function verifierRule(chosen: Settings): VerifierRule | undefined {
  const bytesPerSecond = chosen.verify_bytes_per_second ?? bytesPerSecondDefault
  if (bytesPerSecond === 0) return undefined
  const passEveryMs = (chosen.verify_pass_seconds ?? passSecondsDefault) * 1000
  return {
    bytesPerSecond,
    passEveryMs,
    roundEveryMs: Math.min(roundEveryMs, passEveryMs),
    startDelayMs: Math.min(startDelayMs, passEveryMs),
    roundLeavesMax,
    shareMax,
  }
}
