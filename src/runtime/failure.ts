import { CompleteAsyncError } from '@temporalio/activity'
import { ApplicationFailure, TemporalFailure } from '@temporalio/common'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { EvidenceError, errorTable } from '../contracts/errors.js'
import type { Log } from './log.js'

/** Whether the same attempt may succeed later: an outage ends, and a moved revision is read again. */
export const isRetryable = (error: EvidenceError): boolean =>
  error.kind === 'unavailable' || error.kind === 'busy' || error.code === 'REVISION_CONFLICT'

/**
 * The one map from errors to Temporal failures. A failure is kept in a workflow history, so it says
 * the code and a fixed sentence, never what the error says of the payload (law 14).
 */
export function failureOf(error: unknown): Error {
  if (error instanceof TemporalFailure || error instanceof CompleteAsyncError) return error
  if (error instanceof EvidenceError) {
    return ApplicationFailure.create({
      type: error.code,
      message: errorTable[error.code].remedy,
      nonRetryable: !isRetryable(error),
    })
  }
  return ApplicationFailure.create({
    type: 'INTERNAL',
    message: 'An unexpected error; the log of the worker names the place.',
    nonRetryable: false,
  })
}

/** Where an unexpected error was thrown, without its message: that may quote a payload. */
const placeOf = (error: unknown): string =>
  error instanceof Error
    ? [
        error.name,
        ...(error.stack ?? '')
          .split('\n')
          .filter((line) => /^\s+at /.test(line))
          .slice(0, 8),
      ].join('\n')
    : typeof error

export const failures =
  (log: Log): ActivityInterceptorsFactory =>
  ({ info }) => ({
    inbound: {
      async execute(input, next) {
        try {
          return await next(input)
        } catch (error) {
          const failure = failureOf(error)
          if (failure !== error) {
            log.warn('an activity attempt failed', {
              activity: info.activityType,
              workflow: info.workflowExecution?.workflowId ?? '',
              attempt: info.attempt,
              ...(error instanceof EvidenceError
                ? { code: error.code }
                : { place: placeOf(error) }),
            })
          }
          throw failure
        }
      },
    },
  })
