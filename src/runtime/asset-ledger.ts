import type { DataOf } from '../contracts/event.js'
import { EvidenceError } from '../contracts/errors.js'
import { canonicalBytes } from '../contracts/canonical-json.js'
import { evidenceCaptured } from '../contracts/evidence.js'
import { proposalSubmitted } from '../contracts/proposal.js'
import type { ControlledAsset, Observation } from '../assets/controller.js'
import type { Json } from '../assets/difference.js'
import { type AssetRecord, jsonSha256 } from '../assets/state.js'
import { activityEventId } from '../ledger/event-ids.js'
import type { EventReader, ExpectedRevision } from '../ledger/event-store.js'
import { dataOf, type Fact, fact, isOf } from '../ledger/facts.js'
import type { SideEffectWriter } from '../ledger/writers.js'

export type SubmittedProposal = DataOf<typeof proposalSubmitted>

/** Evidence that outgrows its bound says so, and keeps the digest of the whole. */
const observationBytesMax = 65_536

/** Names one piece of evidence: repeating the step with the same state finds it again. */
export interface Capture {
  readonly project: string
  readonly workflowId: string
  readonly step: string
  readonly proposalId: string
  readonly assetId: string
  readonly phase: 'before' | 'after'
}

/** What the steps of the execution runtime read from the ledger and append to it. */
export interface AssetLedger {
  /** The proposal as it was submitted; undefined when there is none or it was erased. */
  proposal(project: string, proposalId: string): Promise<SubmittedProposal | undefined>
  /** The asset as its controller needs it. */
  controlled(record: AssetRecord): Promise<ControlledAsset>
  /**
   * Appends facts with the capability of this attempt. When their ids are on the ledger already, an
   * earlier attempt whose answer was lost recorded them, and that stands.
   * @throws EvidenceError REVISION_CONFLICT, CAPABILITY_ENDED, …
   */
  record(
    project: string,
    stream: string,
    expected: ExpectedRevision,
    facts: readonly Fact[],
  ): Promise<void>
  /** Puts what was seen on record as evidence; answers the id of the event. */
  capture(capture: Capture, observation: Observation): Promise<string>
}

export function createAssetLedger({
  reader,
  writer,
  actor,
}: {
  readonly reader: EventReader
  readonly writer: () => SideEffectWriter
  readonly actor: string
}): AssetLedger {
  const proposal: AssetLedger['proposal'] = async (project, proposalId) => {
    for await (const event of reader.readStream({
      project,
      stream: `proposal-${proposalId}`,
      max: 1,
    })) {
      if (isOf(proposalSubmitted, event)) return dataOf(proposalSubmitted, event)
    }
    return undefined
  }

  const record: AssetLedger['record'] = async (project, stream, expected, facts) => {
    try {
      await writer().record({ project, stream, expected, actor, facts })
    } catch (error) {
      if (!(error instanceof EvidenceError && error.code === 'EVENT_ID_REUSED')) throw error
      for (const { id, contract } of facts) {
        const found = await reader.find(id)
        // The id names this very fact: what stands under it elsewhere is not ours to answer with.
        if (found?.leaf.stream !== stream || found.leaf.type !== contract.type) throw error
      }
    }
  }

  return {
    proposal,
    record,

    async controlled(asset) {
      const { project, assetId, spec, state, configuredBy } = asset
      if (configuredBy === null) {
        return { project, assetId, spec, state, configuration: spec.configuration }
      }
      const configured = (await proposal(project, configuredBy))?.spec['configuration']
      const configuration = typeof configured === 'string' ? configured : null
      return { project, assetId, spec, state, configuration }
    },

    async capture({ project, workflowId, step, proposalId, assetId, phase }, { state, evidence }) {
      // A controller answers JSON; what is none is refused by the contract.
      const whole = { state, evidence: evidence as Json }
      const size = canonicalBytes(whole).length
      const observation: Json =
        size <= observationBytesMax
          ? whole
          : { state, evidence: { left_out_bytes: size, left_out_sha256: jsonSha256(whole) } }
      const id = activityEventId(
        workflowId,
        `${step}/${phase}/${jsonSha256(state)}`,
        evidenceCaptured.type,
      )
      await record(project, `evidence-${proposalId}`, 'any', [
        fact(
          evidenceCaptured,
          id,
          {
            proposal_id: proposalId,
            asset_id: assetId,
            phase,
            media_type: 'application/json',
            sha256: jsonSha256(observation),
            size: canonicalBytes(observation).length,
            observation,
          },
          { correlation_id: proposalId },
        ),
      ])
      return id
    },
  }
}
