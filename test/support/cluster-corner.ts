import type { ClusterConnection } from '../../src/ledger/adapters/kurrentdb-connection.js'

/**
 * A part of a cluster that looks like one of its own: streams are named with a prefix, and what stands outside is shown
 * as the cluster's own events, which nobody follows. So one real server serves many tests.
 */
export const cornerOf = (connection: ClusterConnection, prefix: string): ClusterConnection => ({
  append: (stream, expected, events) => connection.append(`${prefix}${stream}`, expected, events),
  async lastOf(stream) {
    const event = await connection.lastOf(`${prefix}${stream}`)
    return event === undefined ? undefined : { ...event, stream }
  },
  head: () => connection.head(),
  async *follow(after, signal, onReached) {
    for await (const event of connection.follow(after, signal, onReached)) {
      const isInside = event.stream.startsWith(prefix)
      yield { ...event, stream: isInside ? event.stream.slice(prefix.length) : '$outside' }
    }
  },
  close: () => connection.close(),
})
