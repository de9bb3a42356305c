import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { EvidenceError, type ErrorKind } from '../contracts/errors.js'
import type { Problem } from '../contracts/http.js'

const statusOf: Record<ErrorKind, number> = {
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  missing: 404,
  conflict: 409,
  precondition: 412,
  'too-large': 413,
  unsupported: 415,
  untrusted: 422,
  busy: 429,
  unavailable: 503,
  tampered: 500,
}

const retryAfterMsDefault = 1_000

/** When to come again, in whole seconds, where that helps at all. */
function retryAfterOf({ details }: EvidenceError): string {
  const { retryAfterMs } = details
  return String(
    Math.ceil((typeof retryAfterMs === 'number' ? retryAfterMs : retryAfterMsDefault) / 1_000),
  )
}

/** The one form in which an error leaves over HTTP (RFC 9457). */
export function problemOf(error: EvidenceError, instance?: string): Problem {
  return {
    type: `/errors/${error.code}`,
    title: error.message,
    status: statusOf[error.kind],
    ...(instance === undefined ? {} : { instance }),
    code: error.code,
    remedy: error.remedy,
    ...(error.fields.length === 0
      ? {}
      : { errors: error.fields.map(({ pointer, detail }) => ({ pointer, detail })) }),
  }
}

/** Errors of the framework in our words; undefined for what is nobody's request but our own fault. */
export function evidenceErrorOf(error: unknown): EvidenceError | undefined {
  if (error instanceof EvidenceError) return error
  const { code, statusCode, message } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new EvidenceError('REQUEST_TOO_LARGE', 'the body is larger than this route takes', {
      cause: error,
    })
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new EvidenceError(
      'CONTENT_TYPE_UNSUPPORTED',
      message ?? 'the content type is not supported',
      { cause: error },
    )
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new EvidenceError('REQUEST_INVALID', message ?? 'the request is malformed', {
      cause: error,
    })
  }
  return undefined
}

/** What an error says over HTTP. */
interface ProblemAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The error in our words; undefined for what is nobody's request but our own fault. */
  readonly known: EvidenceError | undefined
}

const internal = {
  type: '/errors/INTERNAL',
  title: 'the service failed to answer',
  status: 500,
  code: 'INTERNAL',
  remedy: 'Look into the log of the service; nothing that was acknowledged is lost.',
}

/** The one place where an error becomes an answer. */
export function problemAnswer(error: unknown, path: string): ProblemAnswer {
  const known = evidenceErrorOf(error)
  const problem = known === undefined ? { ...internal, instance: path } : problemOf(known, path)
  const { status } = problem
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      ...(status === 401 ? { 'www-authenticate': 'Bearer realm="fractalops"' } : {}),
      ...(known !== undefined && (status === 503 || status === 429)
        ? { 'retry-after': retryAfterOf(known) }
        : {}),
    },
    body: JSON.stringify(problem),
    known,
  }
}

export function replyWithProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const path = request.url.split('?')[0] ?? request.url
  const { status, headers, body, known } = problemAnswer(error, path)
  const route = request.routeOptions.url
  if (known === undefined) request.log.error({ route, place: placeOf(error) }, 'request failed')
  else if (status >= 500) request.log.error({ route, code: known.code }, 'request refused')
  return reply.code(status).headers(headers).send(body)
}

/** Where an unexpected error was thrown, without its message: that may quote what was sent. */
const placeOf = (error: unknown): string =>
  error instanceof Error
    ? [error.name, ...(error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))].join(
        '\n',
      )
    : typeof error
