import {
  identityRevoked,
  tokenIssued,
  tokenRevoked,
  workerEnrolled,
} from '../contracts/identity.js'
import { ledgerBootstrapped } from '../contracts/ledger.js'
import { defineProjector, on, timeCellOf } from './projector.js'

/** Who was given access, and who lost it: people and programs by their roles, processes by their components. */
export const identities = defineProjector({
  table: 'identities',
  version: 1,
  on: [
    on(ledgerBootstrapped, (data, event) => ({
      name: data.administrator.name,
      event: event.leaf.type,
      access: ['administrator'],
      actor: event.leaf.actor,
    })),
    on(tokenIssued, (data, event) => ({
      name: data.name,
      event: event.leaf.type,
      access: data.access,
      expires_at: timeCellOf(data.expires_at),
      actor: event.leaf.actor,
    })),
    on(tokenRevoked, (data, event) => ({
      name: data.name,
      event: event.leaf.type,
      access: [],
      actor: event.leaf.actor,
    })),
    on(workerEnrolled, (data, event) => ({
      name: data.name,
      event: event.leaf.type,
      access: data.components,
      expires_at: timeCellOf(data.expires_at),
      actor: event.leaf.actor,
    })),
    on(identityRevoked, (data, event) => ({
      name: data.name,
      event: event.leaf.type,
      access: [],
      actor: event.leaf.actor,
    })),
  ],
})
