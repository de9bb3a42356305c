import { closeSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { EvidenceError } from '../../contracts/errors.js'
import type { PolicyBundle } from '../../contracts/policy.js'
import { checkBundle, policiesMax } from '../bundle.js'

export const schemaFile = 'schema.cedarschema'
const policyFile = /^([a-z][a-z0-9-]{0,127})\.cedar$/
const fileBytesMax = 262_144

/**
 * Reads a bundle from a folder: `schema.cedarschema` and one policy per `<policy id>.cedar`; the
 * name of the folder becomes the name of the bundle.
 *
 * @throws EvidenceError POLICY_INVALID naming the folder or file and what is wrong with it.
 */
export function readPolicyFolder(folder: string): PolicyBundle {
  const names = entriesOf(folder)
  if (!names.includes(schemaFile)) throw invalid(`the policy folder ${folder} has no ${schemaFile}`)
  const policies: [string, string][] = []
  for (const name of names) {
    if (name === schemaFile) continue
    const id = policyFile.exec(name)?.[1]
    if (id === undefined) {
      throw invalid(
        `the policy folder ${folder} holds ${name}: only ${schemaFile} and <policy-id>.cedar belong there (a-z, 0-9 and "-")`,
      )
    }
    policies.push([id, textOf(join(folder, name))])
  }
  return checkBundle({
    name: basename(resolve(folder)),
    policies: Object.fromEntries(policies),
    schema: textOf(join(folder, schemaFile)),
  })
}

function entriesOf(folder: string): readonly string[] {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (cause) {
    throw invalid(`the policy folder ${folder} cannot be read`, cause)
  }
  // Dot files are what editors and version control leave behind.
  const entries = names.filter((name) => !name.startsWith('.')).sort()
  if (entries.length > policiesMax + 1) {
    throw invalid(
      `the policy folder ${folder} holds ${entries.length} files, at most ${policiesMax + 1}`,
    )
  }
  return entries
}

function textOf(path: string): string {
  let bytes: Buffer
  try {
    const file = openSync(path, 'r')
    try {
      const { size } = fstatSync(file)
      if (size > fileBytesMax) throw invalid(`${path} has ${size} bytes, at most ${fileBytesMax}`)
      bytes = readFileSync(file)
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    if (cause instanceof EvidenceError) throw cause
    throw invalid(`${path} cannot be read`, cause)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw invalid(`${path} is not UTF-8 text`, cause)
  }
}

const invalid = (message: string, cause?: unknown) =>
  new EvidenceError('POLICY_INVALID', message, { cause })
