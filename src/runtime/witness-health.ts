import type { HudView } from '../contracts/http.js'
import type { WitnessedCheckpoints } from '../ledger/witnessed.js'

/** How long a checkpoint may wait for its witnesses before that is shown, and before a service that requires them is not ready. */
const lagShownMs = 15_000
const lagMaxMs = 60_000

/** How the witnesses stand, and whether the service can do its work without them. */
export function witnessHealth(
  witnessed: WitnessedCheckpoints,
  size: number,
): { readonly ready: boolean; readonly part: HudView['parts'][number] } {
  const all = witnessed.witnesses()
  const lagMs = witnessed.lagMs()
  const problems = all.flatMap(({ name, problem }) =>
    problem === null ? [] : [`${name}: ${problem}`],
  )
  const following = all.length - problems.length
  const isRefused = all.some(({ unreconciled }) => unreconciled)
  const seen = witnessed.latest()?.size ?? 0
  const detail = [
    `${following} of ${all.length} follow, witnessed to ${seen} of ${size}`,
    ...problems,
  ]
  return {
    ready: !witnessed.required || lagMs < lagMaxMs,
    part: {
      name: 'witnesses',
      status: isRefused ? 'down' : lagMs >= lagShownMs || problems.length > 0 ? 'lagging' : 'ok',
      detail: detail.join('; '),
    },
  }
}
