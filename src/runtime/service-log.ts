import { renameSync, statSync } from 'node:fs'
import { destination, pino } from 'pino'
import type { Log } from './log.js'

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
export function openServiceLog(path: string): Log {
  turnOver(path)
  const log = pino({ level: 'info' }, destination({ dest: path, sync: true, mode: 0o600 }))
  return {
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}) => log.error(fields, message),
  }
}
