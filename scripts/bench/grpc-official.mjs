// The official client of EventStoreDB for Node.js, unmodified.
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import {
  binaryEvent,
  EventStoreDBClient,
  persistentSubscriptionToStreamSettingsFromDefaults,
  START,
} from '@eventstore/db-client'
import { drafts, streamOf } from './events.mjs'

const acknowledgedStream = 'bench-acknowledged'
const acknowledgedEvents = 20_000
const laggingEvents = 100_000
const fillBatch = 1_000

const proposed = ({ id, type, data }) => binaryEvent({ id, type, data })
const residentMib = (pid) =>
  Math.round(
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
  )

/** Counts what comes until the time is over or there is no more. */
async function counted(events, ms) {
  const began = performance.now()
  let count = 0
  for await (const event of events) {
    if (event !== undefined) count += 1
    if (performance.now() - began > ms) break
  }
  return Math.round((count * 1000) / (performance.now() - began))
}

export async function officialClient({ grpc, administrator, pid }) {
  const client = EventStoreDBClient.connectionString(`esdb://${grpc}?tls=false`)
  const credentials = { username: 'administrator', password: administrator }
  const append = async (stream, count, options) => {
    await client.appendToStream(stream, drafts(count).map(proposed), options)
    return count
  }

  /** A subscription from the beginning until it has come to where the log ended when it began. */
  const subscribe = async (ms) => {
    const subscription = client.subscribeToAll({ fromPosition: START })
    const began = performance.now()
    let count = 0
    await new Promise((done, failed) => {
      const timer = setTimeout(done, ms)
      subscription.on('data', () => (count += 1))
      subscription.on('caughtUp', () => {
        clearTimeout(timer)
        done()
      })
      subscription.on('error', failed)
    })
    const rate = Math.round((count * 1000) / (performance.now() - began))
    await subscription.unsubscribe()
    return rate
  }

  return {
    append,
    /** Credentials of a call of its own make the client use a call for each append. */
    appendInCall: (stream) => append(stream, 1, { credentials }),
    readStream: (stream, ms) => counted(client.readStream(stream), ms),
    readAll: (ms) => counted(client.readAll(), ms),
    subscribe,
    /** A stream of so many events, and a group for each of these names from its beginning. */
    async createGroups(groups, bufferSize) {
      for (let left = acknowledgedEvents; left > 0; left -= fillBatch)
        await append(acknowledgedStream, fillBatch)
      const settings = { startFrom: START, historyBufferSize: bufferSize }
      for (const group of groups)
        await client.createPersistentSubscriptionToStream(
          acknowledgedStream,
          group,
          persistentSubscriptionToStreamSettingsFromDefaults(settings),
        )
      return { stream: acknowledgedStream, events: acknowledgedEvents, bufferSize }
    },
    /** A consumer of a group that acknowledges each event as it comes. */
    async acknowledge(group, { stream, events, bufferSize }, ms) {
      const consumer = client.subscribeToPersistentSubscriptionToStream(stream, group, {
        bufferSize,
      })
      const began = performance.now()
      let count = 0
      for await (const event of consumer) {
        void consumer.ack(event)
        count += 1
        if (count === events || performance.now() - began > ms) break
      }
      const rate = Math.round((count * 1000) / (performance.now() - began))
      await consumer.unsubscribe().catch(() => undefined)
      return rate
    },
    /** One subscriber stops taking; others append meanwhile. */
    async lag() {
      const subscription = client.subscribeToAll({ fromPosition: START })
      await new Promise((done) => subscription.once('data', done))
      subscription.pause()
      await pause(1_000)
      const before = residentMib(pid)
      let most = before
      for (let appended = 0; appended < laggingEvents; appended += 16 * fillBatch) {
        await Promise.all(
          Array.from({ length: 16 }, (_, caller) => append(streamOf(caller), fillBatch)),
        )
        most = Math.max(most, residentMib(pid))
      }
      await subscription.unsubscribe().catch(() => undefined)
      return { before_mib: before, lagging_mib: most, lag: laggingEvents }
    },
    close: () => client.dispose(),
  }
}
