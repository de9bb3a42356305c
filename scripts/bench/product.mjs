import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cli, repository } from '../built.mjs'
import { startServer } from './processes.mjs'

/** A module of the built product. */
export const product = (path) => import(pathToFileURL(join(repository, 'dist', path)).href)

/** The built product in a process of its own, ledger and HTTP only; its administrator's token and how it is ended. */
export async function startProduct(data, { flags = [], node = [], env = {} } = {}) {
  const listen = ['--http', '127.0.0.1:0', '--grpc', '127.0.0.1:0']
  const args = ['up', '--data', data, ...listen, '--components', 'ledger,api']
  const isReady = async () => {
    const { http, grpc } = JSON.parse(readFileSync(join(data, 'addresses.json'), 'utf8'))
    const url = http.startsWith('http') ? http : `http://${http}`
    const ready = await fetch(`${url}/readyz`)
    return ready.ok ? { url, grpc } : undefined
  }
  const { ready, stop, child } = await startServer(
    process.execPath,
    [...node, cli, ...args, ...flags],
    isReady,
    { signal: 'SIGINT', env },
  )
  const administrator = readFileSync(join(data, 'admin.token'), 'utf8').trim()
  return { ...ready, administrator, stop, pid: child.pid }
}

/** A token with these access roles. */
export async function issueToken({ url, administrator }, name, access) {
  const response = await fetch(`${url}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${administrator}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, access }),
  })
  if (!response.ok) throw new Error(`no token for ${name}: ${await response.text()}`)
  return (await response.json()).token
}
