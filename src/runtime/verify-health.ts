import type { HudView } from '../contracts/http.js'
import type { VerificationStatus } from '../ledger/verification.js'

/** How the verification in the background stands, in words. */
export function verificationHealth(
  { size, atMs, passSize, damage }: VerificationStatus,
  ledgerSize: number,
): HudView['parts'][number] {
  const name = 'verification'
  if (damage !== null) {
    const { file, offset, position, flaw } = damage.first
    const at = position === null ? '' : `, position ${position}`
    return {
      name,
      status: 'down',
      detail: `damage found in ${damage.count} places: ${file} at offset ${offset}${at}: ${flaw}; "fractalops fsck" names all`,
    }
  }
  const verified =
    atMs === null
      ? 'nothing was verified since the start'
      : `verified to ${size} of ${ledgerSize} at ${new Date(atMs).toISOString()}`
  const pass = passSize < size || atMs === null ? `; this pass is at ${passSize}` : ''
  return { name, status: 'ok', detail: `${verified}${pass}` }
}
