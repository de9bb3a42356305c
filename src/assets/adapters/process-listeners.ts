import { readdir, readFile, readlink } from 'node:fs/promises'
import type { ProcessName } from './process-table.js'

/** One listening TCP socket. */
export interface Listener {
  readonly address: string
  readonly port: number
  readonly isLoopback: boolean
}

const listenState = '0A'
const descriptorsMax = 65_536
const loopbackV6 = '00000000000000000000000001000000'
const mappedV4 = '0000000000000000FFFF0000'

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')

/** The kernel writes addresses as words in the order of the machine: little endian here. */
const v4Of = (hex: string) =>
  (hex.match(/../g) ?? [])
    .reverse()
    .map((pair) => Number.parseInt(pair, 16))
    .join('.')

function addressOf(hex: string): { readonly address: string; readonly isLoopback: boolean } {
  if (hex.length === 8) {
    const address = v4Of(hex)
    return { address, isLoopback: address.startsWith('127.') }
  }
  if (hex === loopbackV6) return { address: '::1', isLoopback: true }
  if (hex.startsWith(mappedV4)) {
    const v4 = v4Of(hex.slice(mappedV4.length))
    return { address: `::ffff:${v4}`, isLoopback: v4.startsWith('127.') }
  }
  const words = (hex.match(/.{8}/g) ?? []).map((word) =>
    (word.match(/../g) ?? []).reverse().join(''),
  )
  const groups = words.join('').match(/.{4}/g) ?? []
  return { address: groups.join(':').toLowerCase(), isLoopback: false }
}

interface ListeningSocket extends Listener {
  readonly inode: string
}

async function socketsIn(file: string): Promise<ListeningSocket[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').slice(1)
  return lines.flatMap((line) => {
    const fields = line.trim().split(/\s+/)
    const [local, state, inode] = [fields[1], fields[3], fields[9]]
    if (local === undefined || state !== listenState || inode === undefined) return []
    const [address = '', port = ''] = local.split(':')
    return [{ ...addressOf(address), port: Number.parseInt(port, 16), inode }]
  })
}

/** Listening sockets of the network that the process lives in; `self` is ours. */
async function listeningSockets(pid: number | 'self'): Promise<ListeningSocket[]> {
  const v4 = await socketsIn(`/proc/${pid}/net/tcp`)
  try {
    return [...v4, ...(await socketsIn(`/proc/${pid}/net/tcp6`))]
  } catch (error) {
    // A kernel without IPv6 has no such file.
    if (isMissing(error)) return v4
    throw error
  }
}

async function socketInodes({ pid }: ProcessName): Promise<string[]> {
  const descriptors = (await readdir(`/proc/${pid}/fd`)).slice(0, descriptorsMax)
  const inodes: string[] = []
  for (const descriptor of descriptors) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/${descriptor}`))?.[1]
      if (inode !== undefined) inodes.push(inode)
    } catch (error) {
      // Closed since it was listed.
      if (!isMissing(error)) throw error
    }
  }
  return inodes
}

/**
 * Every TCP socket on which one of the processes listens. A process that ended meanwhile has none;
 * one whose sockets may not be seen is an error, because nobody could vouch for it.
 */
export async function listenersOf(members: readonly ProcessName[]): Promise<Listener[]> {
  const listeners = new Map<string, Listener>()
  for (const member of members) {
    try {
      const inodes = new Set(await socketInodes(member))
      if (inodes.size === 0) continue
      for (const { inode, ...listener } of await listeningSockets(member.pid)) {
        if (inodes.has(inode)) listeners.set(inode, listener)
      }
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
  return [...listeners.values()].sort((a, b) => a.port - b.port || (a.address < b.address ? -1 : 1))
}

/** The ports of the machine on which somebody listens. */
export const portsInUse = async (): Promise<ReadonlySet<number>> =>
  new Set((await listeningSockets('self')).map(({ port }) => port))

export const inWords = ({ address, port }: Listener): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
