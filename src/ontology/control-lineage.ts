import {
  identityRevoked,
  tokenIssued,
  tokenRevoked,
  workerEnrolled,
} from '../contracts/identity.js'
import {
  alarmCleared,
  alarmRaised,
  duplicateRefused,
  headsSealed,
  keyCreated,
  ledgerBootstrapped,
  ledgerVerified,
} from '../contracts/ledger.js'
import { projectionChecked, projectionRebuilt, projectionStalled } from '../contracts/projection.js'
import { about, thing } from './rdf.js'
import { type Mapping, on, tale } from './told.js'

export const identityLineage: readonly Mapping[] = [
  on(tokenIssued, (data, { names, actor }) => {
    const token = names.token(data.token_sha256)
    return tale(
      token,
      thing(token, 'AccessToken', {
        wasAttributedTo: actor,
        issuedTo: names.actor(data.name),
        name: data.name,
        accessRole: data.access,
        expiresAt: data.expires_at,
      }),
      thing(names.actor(data.name), 'Actor', { name: data.name }),
    )
  }),
  on(tokenRevoked, (data, { names, event, actor }) => {
    const revocation = names.ofEvent('revocation', event.leaf.id)
    const token = names.token(data.token_sha256)
    return tale(
      revocation,
      thing(revocation, 'Revocation', { used: token, wasAssociatedWith: actor }),
      about(token, { wasInvalidatedBy: revocation }),
    )
  }),
  on(workerEnrolled, (data, { names }) => {
    const enrolment = names.enrolment(data.public_key_sha256)
    return tale(
      enrolment,
      thing(enrolment, 'WorkerEnrolment', {
        wasGeneratedBy: names.run(data.proposal_id),
        wasDerivedFrom: names.proposal(data.proposal_id),
        issuedTo: names.actor(data.name),
        name: data.name,
        accessRole: data.components,
        expiresAt: data.expires_at,
      }),
      thing(names.actor(data.name), 'Actor', { name: data.name }),
    )
  }),
  on(identityRevoked, (data, { names, event, actor }) => {
    const revocation = names.ofEvent('revocation', event.leaf.id)
    const enrolment = names.enrolment(data.public_key_sha256)
    return tale(
      revocation,
      thing(revocation, 'Revocation', {
        used: enrolment,
        wasInformedBy: names.run(data.proposal_id),
        wasAssociatedWith: actor,
      }),
      about(enrolment, { wasInvalidatedBy: revocation }),
    )
  }),
]

export const projectionLineage: readonly Mapping[] = [
  on(projectionChecked, (data, { names, event, actor }) => {
    const check = names.ofEvent('check', event.leaf.id)
    return tale(
      check,
      thing(check, 'FactCheck', {
        used: names.table(data.table),
        wasAssociatedWith: actor,
        outcome: data.state,
        size: data.position,
        sha256: data.rows_sha256,
      }),
      thing(names.table(data.table), 'FactTable', { name: data.table }),
    )
  }),
  on(projectionRebuilt, (data, { names, event, actor }) => {
    const rebuild = names.ofEvent('rebuild', event.leaf.id)
    return tale(
      rebuild,
      thing(rebuild, 'FactRebuild', {
        used: names.table(data.table),
        wasInformedBy: names.ofEvent('check', data.check_id),
        wasAssociatedWith: actor,
      }),
      thing(names.table(data.table), 'FactTable', { name: data.table }),
    )
  }),
  on(projectionStalled, (data, { names, event, actor }) => {
    const stall = names.ofEvent('stall', event.leaf.id)
    return tale(
      stall,
      thing(stall, 'FactStall', {
        used: [names.table(data.table), names.event(data.event_id)],
        wasAssociatedWith: actor,
        reasonCode: data.reason_code,
      }),
      thing(names.table(data.table), 'FactTable', { name: data.table }),
    )
  }),
]

export const ledgerLineage: readonly Mapping[] = [
  on(ledgerBootstrapped, (data, { names, event, actor }) => {
    const ledger = names.ledger()
    const bootstrap = names.ofEvent('bootstrap', event.leaf.id)
    const made = { wasGeneratedBy: bootstrap }
    return tale(
      ledger,
      thing(bootstrap, 'Bootstrap', { wasAssociatedWith: actor }),
      thing(ledger, 'Ledger', { ...made, name: data.origin }),
      thing(names.bundle(data.policy_digest), 'PolicyBundle', {
        ...made,
        name: data.policy.name,
        sha256: data.policy_digest,
      }),
      thing(names.token(data.administrator.token_sha256), 'AccessToken', {
        ...made,
        issuedTo: names.actor(data.administrator.name),
        name: data.administrator.name,
        accessRole: 'administrator',
      }),
      thing(names.actor(data.administrator.name), 'Actor', { name: data.administrator.name }),
      thing(names.key(data.vkey), 'SigningKey', { ...made, verifierKey: data.vkey }),
    )
  }),
  on(headsSealed, (data, { names, event, actor }) => {
    const seal = names.ofEvent('seal', event.leaf.id)
    const told = { wasAttributedTo: actor, size: data.size, root: data.root }
    return tale(seal, thing(seal, 'Seal', told))
  }),
  on(ledgerVerified, (data, { names, event, actor }) => {
    const verification = names.ofEvent('verification', event.leaf.id)
    const told = {
      wasAssociatedWith: actor,
      size: data.size,
      root: data.root,
      startedAtTime: data.pass_began,
    }
    return tale(verification, thing(verification, 'Verification', told))
  }),
  on(duplicateRefused, (data, { names, event, actor }) => {
    const refusal = names.ofEvent('refusal', event.leaf.id)
    const told = { used: names.event(data.event_id), wasAssociatedWith: actor }
    return tale(refusal, thing(refusal, 'DuplicateRefusal', told))
  }),
  on(alarmRaised, (data, { names, actor }) => {
    const alarm = names.alarm(data.alarm)
    return tale(alarm, thing(alarm, 'Alarm', { wasAttributedTo: actor, kind: data.alarm }))
  }),
  on(alarmCleared, (data, { names, event, actor }) => {
    const clearing = names.ofEvent('clearing', event.leaf.id)
    const alarm = names.alarm(data.alarm)
    return tale(
      clearing,
      thing(clearing, 'AlarmClearing', { used: alarm, wasAssociatedWith: actor }),
      about(alarm, { wasInvalidatedBy: clearing }),
    )
  }),
  on(keyCreated, (data, { names, actor }) => {
    const key = names.key(data.vkey)
    return tale(
      key,
      thing(key, 'SigningKey', {
        wasAttributedTo: actor,
        wasRevisionOf: data.follows === null ? undefined : names.key(data.follows.vkey),
        verifierKey: data.vkey,
      }),
    )
  }),
]
