import { createHash, type X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'

/** SHA-256 of a public key as certificates hold it (SubjectPublicKeyInfo, DER). */
function publicKeySha256(certificate: X509Certificate): string | undefined {
  try {
    const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
    return createHash('sha256').update(spki).digest('hex')
  } catch {
    // A key of a kind that nobody here knows was enrolled by nobody.
    return undefined
  }
}

/** The keys of clients with a certificate, by the open connection. */
export interface PeerKeys {
  note(socket: TLSSocket): void
  /** The key that the peer of an open connection has shown to hold; undefined = none, or one out of its term. */
  keyOf(peer: string): string | undefined
}

/**
 * Who signed a certificate does not matter: the handshake proves that the client holds its key, and the ledger
 * knows which keys were enrolled.
 */
export function peerKeys(now: () => number): PeerKeys {
  const shown = new Map<
    string,
    { readonly term: readonly [number, number]; readonly key: string }
  >()
  return {
    note(socket) {
      const peer = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? ''}`
      const certificate = socket.getPeerX509Certificate()
      shown.delete(peer)
      if (certificate === undefined) return
      const { validFrom, validTo } = certificate
      const key = publicKeySha256(certificate)
      if (key === undefined) return
      const mine = { term: [Date.parse(validFrom), Date.parse(validTo)] as const, key }
      shown.set(peer, mine)
      // The same address may have come again meanwhile.
      socket.once('close', () => {
        if (shown.get(peer) === mine) shown.delete(peer)
      })
    },
    keyOf(peer) {
      const found = shown.get(peer)
      if (found === undefined) return undefined
      const [from, to] = found.term
      return now() >= from && now() <= to ? found.key : undefined
    },
  }
}
