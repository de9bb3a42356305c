import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { natsServer, peerPackage } from '../peers.mjs'
import { freePort, startServer } from '../processes.mjs'
import { createChain } from '../same-work.mjs'

const waitingMax = 2_048

export const about =
  'NATS JetStream, file storage, sync_interval: always; every event published for itself and acknowledged, at most 2,048 waiting; ids kept apart for two minutes; the same salts, digests, leaves and chains made by the client; no tree'

const settings = (port, folder) => `
listen: 127.0.0.1:${port}
jetstream {
  store_dir: ${JSON.stringify(folder)}
  sync_interval: always
  max_buffered_msgs: 100000
}
`

export async function open(folder) {
  const { module: nats, version } = peerPackage('nats')
  const program = natsServer()
  const port = await freePort()
  const config = join(folder, 'nats.conf')
  writeFileSync(config, settings(port, join(folder, 'nats')))
  const connect = () => nats.connect({ servers: `127.0.0.1:${port}` })
  const { ready: connection, stop } = await startServer(program, ['-c', config], connect)
  const manager = await connection.jetstreamManager()
  await manager.streams.add({
    name: 'events',
    subjects: ['events.>'],
    storage: 'file',
    duplicate_window: 120_000_000_000,
  })
  const client = connection.jetstream({ timeout: 30_000 })
  const place = createChain()
  const publish = (stream, draft) => {
    const { leafBytes, dataSalt, metadataSalt } = place(stream, draft)
    const payload = Buffer.concat([leafBytes, dataSalt, metadataSalt, draft.data, draft.metadata])
    return client.publish(`events.${stream}`, payload, { msgID: draft.id })
  }
  return {
    version: `nats-server 2.15.2, nats ${version}`,
    // Every event is synced for itself: a longer queue makes none faster.
    callersMax: (batch) => Math.ceil(waitingMax / batch),
    append: (stream, drafts) => Promise.all(drafts.map((draft) => publish(stream, draft))),
    count: async () => (await manager.streams.info('events')).state.messages,
    has: async () => true,
    async close() {
      await connection.close()
      await stop()
    },
  }
}
