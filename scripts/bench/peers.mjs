// Peers are no part of the product: `scripts/bench/peers.sh` puts them into a cache outside the checkout.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

const cache =
  process.env['FRACTALOPS_TEST_CACHE'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fractalops')

/** A peer that cannot be had here; the run goes on without it and says why. */
export class PeerMissing extends Error {}

export const peersFolder = join(cache, 'bench-peers')
export const tesseraProgram = (name) => programAt(join(cache, 'tessera', '1.0.4', name))
export const natsServer = () => programAt(join(peersFolder, 'nats-server', '2.15.2', 'nats-server'))

function programAt(path) {
  if (!existsSync(path))
    throw new PeerMissing(
      `${path.slice(cache.length + 1)} is not in the cache: run scripts/bench/peers.sh`,
    )
  return path
}

/** A package of the cache, with the version that is there. */
export function peerPackage(name) {
  const folder = join(peersFolder, 'npm')
  try {
    const manifest = join(folder, 'node_modules', name, 'package.json')
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'))
    return { module: createRequire(join(folder, 'package.json'))(name), version }
  } catch (error) {
    throw new PeerMissing(
      `the package ${name} cannot be loaded (${error.code ?? error.message}): run scripts/bench/peers.sh`,
      { cause: error },
    )
  }
}
