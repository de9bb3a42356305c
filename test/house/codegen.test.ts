import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { catalog } from '../../src/contracts/catalog.js'
import { checkData } from '../../src/contracts/event.js'
import { reservedCategories, writers } from '../../src/contracts/identifiers.js'
import { repository } from '../support/product.js'

const published = (type: string, version: string) =>
  JSON.parse(
    readFileSync(join(repository, `schemas/events/${type}.v${version}.json`), 'utf8'),
  ) as Record<string, unknown>

t.test('what is published is what the contracts say', async (t) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['scripts/codegen.mjs', '--check'],
    {
      cwd: repository,
      encoding: 'utf8',
    },
  )
  t.equal(status, 0, stdout + stderr)
})

t.test(
  'every contract has one writer, a reserved category, a summary and a name of its own',
  async (t) => {
    t.equal(
      new Set(catalog.map((contract) => contract.type)).size,
      catalog.length,
      'types are unique',
    )
    for (const contract of catalog) {
      t.match(contract.type, /^[a-z]+\.[a-z]+(-[a-z]+)*$/)
      t.ok(writers.includes(contract.writer), `${contract.type} has a writer`)
      t.ok(
        reservedCategories.includes(contract.category as never),
        `${contract.type} stands in a reserved category`,
      )
      t.match(contract.summary, /^[A-Z].{10,}[^.]$/, `${contract.type} has a summary`)
      for (const version of Object.keys(contract.past)) {
        t.ok(
          Number(version) < Number(contract.version),
          `${contract.type} reads its past version ${version}`,
        )
      }
    }
  },
)

t.test(
  'every example satisfies its contract and its published schema; an unknown field satisfies neither',
  async (t) => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    for (const contract of catalog) {
      const { type, version, writer, example } = contract
      const schema = published(type, version)
      const validate = ajv.compile(schema)
      const withMore = { ...(example as object), surprise: true }

      t.equal(schema['x-writer'], writer, `${type} names its writer`)
      t.doesNotThrow(() => checkData(contract, example), `${type} takes its example`)
      t.ok(validate(example), `${type}: ${ajv.errorsText(validate.errors)}`)
      t.throws(
        () => checkData(contract, withMore),
        { code: 'EVENT_INVALID' },
        `${type} refuses an unknown field`,
      )
      t.notOk(validate(withMore), `the schema of ${type} refuses an unknown field`)
    }
  },
)
