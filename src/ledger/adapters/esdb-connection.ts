import { readFileSync } from 'node:fs'
import { ChannelCredentials, type ClientOptions, Metadata } from '@grpc/grpc-js'
import * as z from 'zod'
import { EvidenceError } from '../../contracts/errors.js'

/** What is done with a server of the protocol over a connection. */
export interface EsdbConnection {
  /** `host:port`. */
  readonly address: string
  readonly credentials: ChannelCredentials
  readonly options: ClientOptions
  /** What goes with every call. */
  metadata(): Metadata
}

const defaultPort = '2113'
/** Above the largest event, its metadata and what the protocol adds. */
const messageBytesMax = 64 * 1024 * 1024

const flag = z.enum(['true', 'false']).transform((text) => text === 'true')
const milliseconds = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number)

/** The parameters that count here; those of the official clients that do not are taken and mean nothing. */
const Parameters = z.strictObject({
  tls: flag.default(true),
  tlsverifycert: flag.default(true),
  tlscafile: z.string().min(1).optional(),
  keepaliveinterval: milliseconds.default(10_000),
  keepalivetimeout: milliseconds.default(10_000),
  defaultdeadline: z.string().optional(),
  connectionname: z.string().optional(),
  nodepreference: z.string().optional(),
  throwonappendfailure: z.string().optional(),
})

const invalid = (detail: string, cause?: unknown) =>
  new EvidenceError('CONNECTION_STRING_INVALID', `the connection string is malformed: ${detail}`, {
    cause,
  })

/**
 * Reads `esdb://name:password@host:port?tls=…&tlsCAFile=…` (`kurrentdb://` likewise): one server.
 *
 * @throws EvidenceError CONNECTION_STRING_INVALID.
 */
export function readEsdbConnection(text: string): EsdbConnection {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (/^\w+(\+discover:|:\/\/[^/?]*,)/.test(text))
    throw invalid('it names one server, as host:port: clusters and discovery are not offered here')
  if (
    url === undefined ||
    !/^(esdb|kurrentdb|kurrent|kdb):$/.test(url.protocol) ||
    url.hostname === ''
  )
    throw invalid('it is no esdb://name:password@host:port or kurrentdb://…')
  const parameters = Parameters.safeParse(
    Object.fromEntries([...url.searchParams].map(([name, value]) => [name.toLowerCase(), value])),
  )
  if (!parameters.success)
    throw invalid(
      parameters.error.issues
        .map((issue) =>
          issue.code === 'unrecognized_keys'
            ? `unknown parameter ${issue.keys.join(', ')}`
            : `${issue.path.join('.')}: ${issue.message}`,
        )
        .join('; '),
    )
  const { tls, tlsverifycert, tlscafile, keepaliveinterval, keepalivetimeout } = parameters.data
  const authorization = authorizationOf(url)
  return {
    address: `${url.hostname}:${url.port === '' ? defaultPort : url.port}`,
    credentials: tls
      ? ChannelCredentials.createSsl(
          tlscafile === undefined ? null : authority(tlscafile),
          null,
          null,
          { rejectUnauthorized: tlsverifycert },
        )
      : ChannelCredentials.createInsecure(),
    options: {
      'grpc.keepalive_time_ms': keepaliveinterval,
      'grpc.keepalive_timeout_ms': keepalivetimeout,
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': messageBytesMax,
    },
    metadata() {
      const metadata = new Metadata()
      metadata.set('requires-leader', 'true')
      if (authorization !== undefined) metadata.set('authorization', authorization)
      return metadata
    },
  }
}

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '') return undefined
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

function authority(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw invalid(`tlsCAFile ${path} cannot be read`, cause)
  }
}
