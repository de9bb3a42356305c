// The published form of the contracts, as text per path. Pure but for reading the built modules.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repository } from './built.mjs'
import { generateOntology } from './ontology.mjs'

/** Folders in which every file is generated. */
export const generatedFolders = ['schemas/events']

const base = 'https://fractalops.local/schemas'
const dialect = 'https://json-schema.org/draft/2020-12/schema'

const built = (path) => import(pathToFileURL(join(repository, 'dist', path)).href)
const json = (value) => `${JSON.stringify(value, null, 2)}\n`
const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** JSON Schema of what may be sent: defaults are optional, unknown members refused where zod refuses them. */
const schemaOf = (z, schema, about) => {
  const { $schema: _, ...body } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    unrepresentable: 'any',
  })
  return { $schema: dialect, ...about, ...body }
}

const versionsOf = (contract) => [
  ...Object.entries(contract.past).map(([version, schema]) => ({ version, schema, past: true })),
  { version: contract.version, schema: contract.schema, past: false },
]

const eventSchemas = (z, catalog) =>
  catalog.flatMap((contract) =>
    versionsOf(contract).map(({ version, schema, past }) => {
      const path = `schemas/events/${contract.type}.v${version}.json`
      const about = {
        $id: `${base}/events/${contract.type}.v${version}.json`,
        title: `${contract.type} version ${version}`,
        description: contract.summary,
        'x-writer': contract.writer,
        'x-category': contract.category,
        ...(past ? { deprecated: true } : { examples: [contract.example] }),
      }
      return [path, json(schemaOf(z, schema, about))]
    }),
  )

const eventPage = (catalog, leafWriters) => {
  const categories = [...new Set(catalog.map((contract) => contract.category))]
  const lines = [
    '# Events',
    '',
    'Generated from `src/contracts` by `npm run codegen`; do not edit.',
    '',
    `Every contract has exactly one writer: ${leafWriters.map((w) => `\`${w}\``).join(', ')}. Events with the writer`,
    '`activity` tell of side effects and are appended only inside Temporal activities. The JSON Schema of',
    'each version is in `schemas/events/`.',
  ]
  for (const category of categories) {
    lines.push(
      '',
      `## Streams \`${category}-…\``,
      '',
      '| type | version | writer | what it says |',
      '|---|---|---|---|',
    )
    for (const contract of catalog.filter((one) => one.category === category)) {
      lines.push(
        `| \`${contract.type}\` | ${contract.version} | ${contract.writer} | ${cell(contract.summary)} |`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}

const errorPage = (table) => {
  const kinds = [...new Set(Object.values(table).map((entry) => entry.kind))]
  const lines = [
    '# Errors',
    '',
    'Generated from `src/contracts/errors.ts` by `npm run codegen`; do not edit.',
    '',
    'Every error that a caller can act on has a code. HTTP answers carry it in `application/problem+json`',
    '(`type` is `/errors/<code>`), the command line prints it, and workflows end with it. The kind decides the',
    'HTTP status and the exit code.',
  ]
  for (const kind of kinds) {
    lines.push('', `## ${kind}`)
    for (const [code, entry] of Object.entries(table).filter(([, one]) => one.kind === kind)) {
      lines.push('', `### ${code}`, '', entry.remedy)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The OpenAPI document of the server as it stands, built without a ledger behind it. */
async function openApi() {
  if (!existsSync(join(repository, 'dist/api/openapi.js'))) return []
  const { openApiDocument } = await built('api/openapi.js')
  return [['schemas/openapi.json', json(await openApiDocument())]]
}

/** Every generated file: path in the repository to its text. */
export async function generate() {
  const z = await import('zod')
  const [
    { catalog },
    { errorTable },
    { Leaf },
    { ProofFile },
    completeness,
    queryProof,
    { Writer },
    fsckReport,
  ] = await Promise.all(
    [
      'catalog',
      'errors',
      'leaf',
      'proof-file',
      'completeness',
      'query-proof',
      'identifiers',
      'fsck-report',
    ].map((name) => built(`contracts/${name}.js`)),
  )
  return new Map([
    ...eventSchemas(z, catalog),
    [
      'schemas/leaf.v1.json',
      json(
        schemaOf(z, Leaf, {
          $id: `${base}/leaf.v1.json`,
          title: 'fractalops/leaf/1',
          description:
            'The JSON object of a leaf; the leaf is "fractalops/leaf/1\\n" and the RFC 8785 form of this object',
        }),
      ),
    ],
    [
      'schemas/proof-file.v1.json',
      json(
        schemaOf(z, ProofFile, {
          $id: `${base}/proof-file.v1.json`,
          title: 'fractalops/proof/1',
          description:
            'What a stranger needs to check one event offline: RFC 8785 JSON plus one newline',
        }),
      ),
    ],
    [
      'schemas/stream-proof.v1.json',
      json(
        schemaOf(z, completeness.StreamProofFile, {
          $id: `${base}/stream-proof.v1.json`,
          title: completeness.streamProofFormat,
          description:
            'Proof that no event of a stream is left out, checked offline: RFC 8785 JSON plus one newline',
        }),
      ),
    ],
    [
      'schemas/window-proof.v1.json',
      json(
        schemaOf(z, completeness.WindowProofFile, {
          $id: `${base}/window-proof.v1.json`,
          title: completeness.windowProofFormat,
          description:
            'Proof that no event of one type is left out of a window of ledger time, checked offline: RFC 8785 JSON plus one newline',
        }),
      ),
    ],
    [
      'schemas/query-proof.v1.json',
      json(
        schemaOf(z, queryProof.QueryProofFile, {
          $id: `${base}/query-proof.v1.json`,
          title: queryProof.queryProofFormat,
          description:
            'The answer of a query with the events behind its rows, checked offline: RFC 8785 JSON plus one newline',
        }),
      ),
    ],
    [
      'schemas/fsck-report.v1.json',
      json(
        schemaOf(z, fsckReport.FsckReportFile, {
          $id: `${base}/fsck-report.v1.json`,
          title: fsckReport.fsckFormat,
          description: 'What "fractalops fsck --json" prints',
        }),
      ),
    ],
    ['docs/events.md', eventPage(catalog, Writer.options)],
    ['docs/errors.md', errorPage(errorTable)],
    ...(await generateOntology(catalog, (await built('ontology/json-ld.js')).context)),
    ...(await openApi()),
  ])
}
