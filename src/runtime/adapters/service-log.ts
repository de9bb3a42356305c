import { renameSync, statSync } from 'node:fs'
import { destination, pino } from 'pino'

const logBytesMax = 32 * 1024 * 1024

/** A log that has grown too large is kept once under another name and begun anew. */
function turnOver(path: string): void {
  try {
    if (statSync(path).size > logBytesMax) renameSync(path, `${path}.1`)
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing) throw error
  }
}

/** The log of the service: one JSON object per line, fixed phrases with facts as fields. */
export function openServiceLog(path: string) {
  turnOver(path)
  const log = pino({ level: 'info' }, destination({ dest: path, sync: true, mode: 0o600 }))
  const at =
    (level: 'info' | 'warn' | 'error') =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      log[level](fields, message)
    }
  return { info: at('info'), warn: at('warn'), error: at('error') }
}
