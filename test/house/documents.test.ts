import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { errorTable } from '../../src/contracts/errors.js'
import { repository } from '../support/product.js'

const read = (path: string) => readFileSync(join(repository, path), 'utf8')
const isThere = (path: string) => existsSync(join(repository, path))
const withoutCode = (text: string) => text.replaceAll(/^```[\s\S]*?^```/gm, '')

const below = (folder: string) =>
  readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' }).map(
    (file) => `${folder}/${file}`,
  )

const documents = [...readdirSync(repository), ...below('docs')]
  .filter((file) => file.endsWith('.md'))
  .sort()

interface Law {
  readonly title: string
  readonly text: string
  readonly holds: readonly { readonly file: string; readonly name: string }[]
}

/** The laws of a constitution, each with the tests that it names. */
const lawsOf = (text: string): Law[] =>
  text
    .split(/^## /m)
    .slice(1)
    .map((section) => ({
      title: section.split('\n')[0] ?? '',
      text: section,
      holds: [...section.matchAll(/^- `(test\/[^`]+)`: (.+)$/gm)].map(
        ([, file = '', name = '']) => ({ file, name }),
      ),
    }))

/** A named test is there when its file has a test of that name; `${…}` in a name stands for any text. */
function isHeld({ file, name }: Law['holds'][number]): boolean {
  if (!isThere(file)) return false
  const names = [
    ...read(file).matchAll(/(?:\btest|\brule)\(\s*(?:'([^']+)'|"([^"]+)"|`([^`]+)`)/g),
  ].map(([, a, b, c]) => a ?? b ?? c ?? '')
  return names.some((one) => one === name || one.replaceAll(/\$\{[^}]*\}/g, '…') === name)
}

t.test('every document has exactly one title', async (t) => {
  for (const file of documents) t.equal(withoutCode(read(file)).match(/^# \S/gm)?.length, 1, file)
})

t.test('links between documents lead somewhere', async (t) => {
  for (const file of documents) {
    for (const [, target = ''] of withoutCode(read(file)).matchAll(
      /\]\(((?!https?:|#)[^)#]+)[^)]*\)/g,
    )) {
      t.ok(isThere(join(file, '..', target)), `${file} -> ${target}`)
    }
  }
})

t.test('every law names the tests that hold it, or says what is not in force yet', async (t) => {
  const laws = lawsOf(read('CONSTITUTION.md'))
  t.strictSame(
    laws.map(({ title }) => Number(title.split('.')[0])),
    Array.from({ length: 14 }, (_, i) => i + 1),
    'fourteen laws in order',
  )
  for (const law of laws) {
    t.ok(law.holds.length > 0 || law.text.includes('Not in force yet'), law.title)
    for (const held of law.holds) t.ok(isHeld(held), `${law.title}: ${held.file}: ${held.name}`)
  }
  t.notOk(
    isHeld({ file: 'test/house/documents.test.ts', name: 'no test is named so' }),
    'a missing test is seen',
  )
})

t.test('every error code is explained once', async (t) => {
  const headings = [...read('docs/errors.md').matchAll(/^### (\w+)$/gm)].map(([, code]) => code)
  t.strictSame(headings.sort(), Object.keys(errorTable).sort())
})

t.test(
  'decisions are numbered without gaps and say context, decision and consequences',
  async (t) => {
    const files = readdirSync(join(repository, 'docs/decisions')).sort()
    for (const [at, file] of files.entries()) {
      t.match(file, new RegExp(`^${String(at + 1).padStart(4, '0')}-[a-z0-9-]+\\.md$`))
      for (const part of ['Context', 'Decision', 'Consequences'])
        t.match(read(`docs/decisions/${file}`), `**${part}.**`)
    }
  },
)

t.test('the README shows the two commands that do everything', async (t) => {
  for (const command of ['npm ci && npm start', 'npm ci && npm test', 'npm run demo'])
    t.match(read('README.md'), command)
})

t.test('the scripts are few and are exactly these', async (t) => {
  const manifest = JSON.parse(read('package.json')) as {
    scripts: object
    bin: Record<string, string>
    dependencies: object
    devDependencies: object
  }
  t.strictSame(Object.keys(manifest.scripts), [
    ...[
      'build',
      'start',
      'demo',
      'test',
      'contracts',
      'check',
      'codegen',
      'codegen-check',
      'bench',
      'test:soak',
    ],
  ])
  t.equal(manifest.bin['fractalops'], 'dist/cli/main.js')
  for (const [name, version] of Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
  })) {
    t.match(version, /^\d+\.\d+\.\d+$/, `${name} has an exact version`)
  }
})

t.test('no file of the repository names a registry or a path of one machine', async (t) => {
  t.notMatch(read('package-lock.json'), /"resolved": "https?:/, 'the lock file')
  const paths = new RegExp(`(?:^|["'\`\\s(=])/(?:${['work', 'root', 'home'].join('|')})/\\w`, 'm')
  const files = [
    ...documents,
    ...['src', 'test', 'scripts', 'examples'].filter(isThere).flatMap(below),
  ]
  for (const file of files.filter(
    (one) => /\.(md|mjs|tsx?|json|sh|yaml|html|css)$/.test(one) && !one.includes('node_modules'),
  )) {
    if (paths.test(read(file))) t.fail(`${file} names a path of one machine`)
  }
})
