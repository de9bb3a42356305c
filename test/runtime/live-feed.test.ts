import t, { type Test } from 'tap'
import { utf8 } from '../../src/ledger/encoding.js'
import {
  createLiveFeed,
  type LiveFeed,
  type LiveMessage,
  type LiveWish,
  waitingMessagesMax,
} from '../../src/runtime/live-feed.js'
import { draft, openTestLedger, request } from '../support/ledger.js'

const about = (asset: string) => draft({ data: utf8(JSON.stringify({ asset_id: asset })) })

/** Takes `count` messages, or those until it is told to stop. */
function taking(t: Test, feed: LiveFeed, from: number, wish: LiveWish) {
  const ending = new AbortController()
  t.teardown(() => ending.abort())
  const messages = feed.follow(from, wish, ending.signal)
  return {
    async take(count: number): Promise<LiveMessage[]> {
      const taken: LiveMessage[] = []
      while (taken.length < count) {
        const { value, done } = await messages.next()
        if (done === true) break
        taken.push(value)
      }
      return taken
    },
    stop: () => ending.abort(),
  }
}

const positions = (messages: readonly LiveMessage[]) => messages.map(({ position }) => position)

t.test('a follower is told every event from its position on, then each as it comes', async (t) => {
  const { ledger } = await openTestLedger(t)
  for (let i = 0; i < 30; i += 1) await ledger.append(request())
  const start = ledger.size() - 20
  const follower = taking(t, createLiveFeed(ledger), start, { project: 'default' })

  const before = await follower.take(20)
  const coming = follower.take(5)
  for (let i = 0; i < 5; i += 1) await ledger.append(request())

  const all = positions([...before, ...(await coming)])
  t.strictSame(
    all,
    Array.from({ length: 25 }, (_, i) => start + i),
  )
})

t.test('each follower is told what it wants and nothing else', async (t) => {
  const { ledger } = await openTestLedger(t)
  const feed = createLiveFeed(ledger)
  const from = ledger.size()
  const web = taking(t, feed, from, { project: 'default', asset: 'web' })
  const typed = taking(t, feed, from, { project: 'default', types: ['order.shipped'] })
  const both = taking(t, feed, from, { project: 'default', asset: 'web', types: ['order.shipped'] })
  const waiting = Promise.all([web.take(2), typed.take(2), both.take(1)])

  await ledger.append(
    request({
      events: [
        about('web'),
        about('db'),
        { ...about('db'), type: 'order.shipped' },
        { ...about('web'), type: 'order.shipped' },
      ],
    }),
  )
  await ledger.append(request({ project: 'another', events: [about('web')] }))

  const [ofWeb, ofType, ofBoth] = await waiting
  t.strictSame(positions(ofWeb), [from, from + 3])
  t.strictSame(positions(ofType), [from + 2, from + 3])
  t.strictSame(positions(ofBoth), [from + 3])
  t.match(JSON.parse(ofWeb[0]?.text ?? ''), { asset_id: 'web', position: String(from) })
})

t.test('a follower that is slower than the log misses nothing and holds little', async (t) => {
  const { ledger } = await openTestLedger(t)
  const feed = createLiveFeed(ledger)
  const from = ledger.size()
  const slow = taking(t, feed, from, { project: 'default' })
  const fast = taking(t, feed, from, { project: 'default' })
  const first = slow.take(1)
  const total = 6 * waitingMessagesMax
  const everything = fast.take(total)
  for (let left = total; left > 0; left -= 128)
    await ledger.append(request({ events: Array.from({ length: 128 }, () => draft()) }))
  // Only now the slow one comes back: what could not wait for it is read from the log.
  t.equal((await everything).length, total)
  const rest = await slow.take(total - 1)

  t.strictSame(
    positions([...(await first), ...rest]),
    Array.from({ length: total }, (_, i) => from + i),
  )
})

t.test('a follower that leaves ends its messages, and the last one ends the reading', async (t) => {
  const { ledger } = await openTestLedger(t)
  const feed = createLiveFeed(ledger)
  const one = taking(t, feed, ledger.size(), { project: 'default' })
  const waiting = one.take(1)
  one.stop()
  t.strictSame(await waiting, [])

  const next = taking(t, feed, ledger.size(), { project: 'default' })
  const coming = next.take(1)
  await ledger.append(request())
  t.equal((await coming).length, 1)
})

t.test('a thousand followers of one asset each are told of theirs alone', async (t) => {
  const { ledger } = await openTestLedger(t)
  const feed = createLiveFeed(ledger)
  const from = ledger.size()
  const count = 1_000
  const waiting = Array.from({ length: count }, (_, i) =>
    taking(t, feed, from, { project: 'default', asset: `asset-${i}` }).take(1),
  )
  await ledger.append(
    request({ events: Array.from({ length: count }, (_, i) => about(`asset-${count - 1 - i}`)) }),
  )
  const told = await Promise.all(waiting)
  t.strictSame(
    told.flatMap(positions),
    Array.from({ length: count }, (_, i) => from + count - 1 - i),
  )
})
