import { join } from 'node:path'
import t from 'tap'
import { clientPackage, connectionTo } from '../support/grpc.js'
import { collect } from '../support/ledger.js'
import { eventually, startProduct } from '../support/product.js'

const lib = await clientPackage('@eventstore/db-client')
const flags = ['--components', 'ledger,api']

t.test('the product listens for clients of EventStoreDB and says where', async (t) => {
  const product = await startProduct(t, { flags })
  const { token } = await product.token('ada', 'proposer')
  const authority = join(product.data, 'keys', 'grpc-ca.crt')
  const connect = () => {
    const { grpc: address } = product.addresses
    if (address === null) throw new Error('the product names no gRPC address')
    const client = lib.connect(connectionTo({ address, authority }, { name: 'ada', token }))
    t.teardown(() => client.dispose())
    return client
  }
  const event = lib.jsonEvent({ type: 'order.placed', data: { n: 1 } })
  await connect().appendToStream('order-1', event)

  const shown = await product.get<{ stream: string; writer: string }>(`/v1/events/${event.id}`)
  t.match(shown, { stream: 'order-1', writer: 'client', actor: 'ada' }, 'HTTP shows the same')

  await product.kill()
  await product.start()
  const [first, ...others] = await eventually('the restarted product answering', () =>
    collect(connect().readStream('order-1')),
  )
  t.equal(first?.event?.id, event.id, 'the certificate is kept, and what was acknowledged')
  t.strictSame(others, [])
})
