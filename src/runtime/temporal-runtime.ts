import {
  type LogLevel,
  type LogMetadata,
  makeTelemetryFilterString,
  Runtime,
} from '@temporalio/worker'
import type { Log } from './log.js'

/** What of a log entry names things; everything else might quote a payload (law 14). */
const kept = [
  'workflowId',
  'workflowType',
  'activityId',
  'activityType',
  'attempt',
  'taskQueue',
] as const

const fieldsOf = (meta: LogMetadata = {}): Record<string, unknown> => {
  const error: unknown = meta['error']
  return {
    ...Object.fromEntries(
      kept.filter((name) => meta[name] !== undefined).map((name) => [name, meta[name]]),
    ),
    ...(error instanceof Error ? { error: error.name } : {}),
  }
}

/**
 * Prepares the one Temporal runtime of this process: its signals are ours to treat, and its log is
 * our log. Harmless when it runs already.
 */
export function installTemporalRuntime(log: Log): void {
  // The library offers no other way to ask; it drops the instance when its last worker is gone.
  if (Runtime._instance !== undefined) return
  const write = (level: LogLevel, message: string, meta?: LogMetadata) => {
    // Messages of the library are sentences with values in them; only their first words are fixed.
    const fields = { message: message.slice(0, 60), ...fieldsOf(meta) }
    if (level === 'ERROR') log.error('temporal', fields)
    // Its warnings tell of attempts that are repeated; those of ours that failed we report ourselves.
    else if (level === 'WARN') log.info('temporal', fields)
  }
  const at = (level: LogLevel) => (message: string, meta?: LogMetadata) =>
    write(level, message, meta)
  Runtime.install({
    shutdownSignals: [],
    logger: {
      log: write,
      trace: at('TRACE'),
      debug: at('DEBUG'),
      info: at('INFO'),
      warn: at('WARN'),
      error: at('ERROR'),
    },
    telemetryOptions: {
      logging: {
        filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }),
        forward: {},
      },
    },
  })
}
