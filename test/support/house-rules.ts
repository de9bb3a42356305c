import {
  importsOf,
  codeOf,
  declaredNames,
  functionsOf,
  mentionsOf,
  type Tree,
} from './source-tree.js'

const subjects = ['ledger', 'projections', 'ontology', 'proposals', 'assets', 'chronicle'] as const

interface Layer {
  readonly files: RegExp
  /** The layers a file of this one may import. */
  readonly from: readonly string[]
  readonly packages: readonly RegExp[]
}

/** Layers from the inside out: ARCHITECTURE.md shows the same table. The first that matches a path rules. */
export const layers: Readonly<Record<string, Layer>> = {
  composition: {
    files: /^src\/(compose|compose-[\w-]+|\w+\/main)\.tsx?$/,
    from: ['*'],
    packages: [/./],
  },
  contracts: {
    files: /^src\/contracts\/[^/]+\.ts$/,
    from: ['contracts'],
    packages: [/^zod$/, /^canonicalize$/, /^jsonc-parser$/],
  },
  domain: {
    files: new RegExp(`^src/(${subjects.join('|')})/[^/]+\\.ts$`),
    from: ['contracts', 'domain'],
    packages: [/^node:crypto$/, /^node:assert\/strict$/, /^uuid$/, /^zod$/, /^canonicalize$/],
  },
  application: {
    files: /^src\/runtime\/[^/]+\.ts$/,
    from: ['contracts', 'domain', 'application'],
    packages: [/^@temporalio\//, /^zod$/, /^uuid$/, /^yaml$/, /^node:/],
  },
  infrastructure: {
    files: /^src\/\w+\/adapters\/[^/]+\.ts$/,
    from: ['contracts', 'domain', 'infrastructure'],
    packages: [/^(?!@temporalio\/|fastify|@fastify\/|react)/],
  },
  portal: {
    files: /^src\/portal\//,
    from: ['contracts', 'domain', 'portal'],
    packages: [
      /^react/,
      /^@tanstack\//,
      /^@radix-ui\//,
      /^@noble\//,
      /^zod$/,
      /^vite$/,
      /^@vitejs\//,
      /^node:/,
    ],
  },
  interface: {
    files: /^src\/(api|cli)\//,
    from: ['contracts', 'domain', 'application', 'interface'],
    packages: [
      /^fastify/,
      /^@fastify\//,
      /^@grpc\/grpc-js$/,
      /^zod$/,
      /^uuid$/,
      /^cli-progress$/,
      /^yaml$/,
      /^node:/,
    ],
  },
}

/** Which other subjects a subject may know. Data flows one way and none reaches back. */
export const mayKnow: Readonly<Record<string, readonly string[]>> = {
  ledger: [],
  assets: ['ledger'],
  proposals: ['ledger', 'assets'],
  projections: ['ledger'],
  ontology: ['ledger'],
  chronicle: ['ledger'],
  runtime: [...subjects],
  api: [...subjects, 'runtime'],
  cli: [...subjects, 'runtime'],
  portal: ['ledger'],
}

/** What each subject offers to the others, by file name; everything else is its own affair. */
export const offers: Readonly<Record<string, RegExp>> = {
  ledger:
    /^(event-store|facts|writers|fold|leaf|encoding|event-ids|merkle|note|checkpoint|proof-file|tlog-proof|stream-name|stream-metadata|stream-access|signing-keys|key-succession|node-crypto|tiles|raw-leaf|batch-proof|cosignature|witness|witness-policy|witness-request|heads|heads-map|seals|sealed-heads|seal-replay|completeness|stream-proof|window-proof|query-proof|witnessed|verification|fsck-report|enrolled-writer|ledger-wire|all-position|moved-event|movable-store|ledger)$/,
  proposals: /./,
  assets: /./,
  projections: /./,
  ontology: /./,
  chronicle: /./,
  runtime: /./,
}

export const layerOf = (file: string): string | undefined =>
  Object.keys(layers).find((name) => layers[name]?.files.test(file))

const subjectOf = (file: string): string => file.split('/')[1] ?? ''
const stemOf = (file: string): string => (file.split('/').at(-1) ?? '').replace(/\.tsx?$/, '')
const isComposition = (file: string) => layerOf(file) === 'composition'
const isSource = (file: string) => file.startsWith('src/') && /\.tsx?$/.test(file)

export const filesWithoutLayer = (tree: Tree): string[] =>
  [...tree.keys()].filter((file) => isSource(file) && layerOf(file) === undefined)

export const outwardImports = (tree: Tree): string[] =>
  importsOf(tree).flatMap(({ from, to, isFile }) => {
    const layer = layers[layerOf(from) ?? '']
    if (layer === undefined || layer.from.includes('*')) return []
    const allowed = isFile
      ? layer.from.includes(layerOf(to) ?? '')
      : layer.packages.some((pattern) => pattern.test(to))
    return allowed ? [] : [`${from} -> ${to}`]
  })

export const unknownSubjects = (tree: Tree): string[] =>
  importsOf(tree).flatMap(({ from, to, isFile }) => {
    const [mine, other] = [subjectOf(from), subjectOf(to)]
    if (!isFile || mine === other || other === 'contracts' || isComposition(from)) return []
    const known = mayKnow[mine]
    return known === undefined || known.includes(other) ? [] : [`${from} -> ${to}`]
  })

export const privateImports = (tree: Tree): string[] =>
  importsOf(tree).flatMap(({ from, to, isFile }) => {
    const other = subjectOf(to)
    if (!isFile || subjectOf(from) === other || isComposition(from)) return []
    const offered = offers[other]
    return offered === undefined || offered.test(stemOf(to)) ? [] : [`${from} -> ${to}`]
  })

/** One line per cycle of imports that are there at run time. Types may name each other. */
export function importCycles(tree: Tree): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to, isFile, isErased } of importsOf(tree)) {
    if (isFile && !isErased && tree.has(to)) targets.set(from, [...(targets.get(from) ?? []), to])
  }
  const cycles: string[] = []
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) {
      cycles.push([...path.slice(start), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    for (const target of targets.get(file) ?? []) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of tree.keys()) walk(file, [])
  return cycles
}

export const barrels = (tree: Tree): string[] =>
  [...tree.keys()].filter((file) => /(^|\/)index\.[cm]?[jt]sx?$/.test(file))

const fileLinesMax = 400
const functionLinesMax = 70
const componentLinesMax = 120

export const longFiles = (tree: Tree): string[] =>
  [...tree].flatMap(([file, text]) => {
    const lines = text.trimEnd().split('\n').length
    return lines > fileLinesMax ? [`${file} has ${lines} lines, at most ${fileLinesMax}`] : []
  })

export const longFunctions = (tree: Tree): string[] =>
  [...tree].flatMap(([file, text]) =>
    functionsOf(file, text).flatMap(({ name, lines, isComponent }) => {
      const max = isComponent ? componentLinesMax : functionLinesMax
      return lines > max ? [`${file} ${name} has ${lines} lines, at most ${max}`] : []
    }),
  )

const bannedNames: readonly (readonly [RegExp, string])[] = [
  [/Managers?$/, 'name what it owns: a pool, a registry, a lock'],
  [/Helpers?$|^helpers?$/, 'name what it does'],
  [/Utils?$|Utilities$|^utils?$/i, 'name what it does, in the file that needs it'],
  [/Services?$/, 'name the noun it serves'],
  [/Handlers?$/, 'name the verb: what is done with what arrives'],
  [/Processors?$/, 'name the verb: fold, encode, route'],
  [/Impl$/, 'name what makes it different: File…, Memory…'],
  [/^(Common|Base)[A-Z]|^Common$/, 'put it where it belongs'],
  [/^I[A-Z][a-z]+[A-Z]\w*Port$/, 'a port is named for what the domain wants'],
]
/** Names that the platform gave; what makes one is named after it. */
const canonicalNames = [
  'RuntimeAssetControlService',
  'createRuntimeAssetControlService',
  'RuntimeAssetController',
]

export const badNames = (tree: Tree): string[] =>
  [...tree].flatMap(([file, text]) => {
    const stem = stemOf(file)
    const pascal = stem.replaceAll(/(^|-)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())
    return [...declaredNames(file, text), pascal, stem]
      .filter((name) => !canonicalNames.includes(name))
      .flatMap((name) =>
        bannedNames
          .filter(([pattern]) => pattern.test(name))
          .map(([, better]) => `${file} ${name}: ${better}`),
      )
  })

const bannedCode: readonly { code: RegExp; where: RegExp; instead: string }[] = [
  { code: /\bas any\b/, where: /./, instead: 'type it' },
  { code: /\bas unknown as\b/, where: /./, instead: 'type the generic, or parse' },
  {
    code: /\bDate\.now\b|\bnew Date\s*\(\s*\)/,
    where: new RegExp(`^src/(contracts|${subjects.join('|')})/[^/]+$`),
    instead: 'time enters as an argument',
  },
  {
    code: /\bMath\.random\b/,
    where: /^src\//,
    instead: 'chance enters as an argument, from node:crypto',
  },
  { code: /\bNODE_ENV\b/, where: /^src\//, instead: 'a setting of the configuration' },
  {
    code: /\bprocess\.exit\b/,
    where: /^src\/(?!\w+\/main\.ts|projections\/adapters\/[\w-]*(child|main)\.ts)/,
    instead: 'an error, or process.exitCode in main',
  },
]

export const bannedExpressions = (tree: Tree): string[] =>
  [...tree].flatMap(([file, text]) => {
    const code = codeOf(file, text)
    return bannedCode
      .filter((rule) => rule.where.test(file) && rule.code.test(code))
      .map((rule) => `${file} ${rule.code.source}: ${rule.instead}`)
  })

const leftovers = new RegExp(
  `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b|@ts-(ignore|nocheck)`,
)

export const leftoverMarks = (tree: Tree): string[] =>
  [...tree].flatMap(([file, text]) => {
    const line = text.split('\n').findIndex((one) => leftovers.test(one))
    return line < 0 ? [] : [`${file}:${line + 1} finish it, or write it down as an issue`]
  })

export const environmentReaders = (tree: Tree): string[] =>
  [...tree]
    .filter(
      ([file, text]) =>
        !/^src\/(\w+\/main|runtime\/config)\.ts$/.test(file) &&
        /\bprocess\??\.env\b/.test(codeOf(file, text)),
    )
    .map(([file]) => file)

/** The files that may name the side-effect capability: where it is made, minted, used and dealt out. */
const capabilityFiles =
  /^src\/(ledger\/writers|runtime\/(side-effects|[\w-]+-activities|asset-control|asset-ledger)|compose)\.ts$/

export const capabilityHolders = (tree: Tree): string[] =>
  [...tree]
    .filter(
      ([file, text]) =>
        /\b(mint)?SideEffectWriter\b/.test(codeOf(file, text)) && !capabilityFiles.test(file),
    )
    .map(([file]) => file)

const isEntry = (file: string) =>
  /^src\/\w+\/main\.tsx?$/.test(file) ||
  /^src\/portal\/vite\.config\.ts$/.test(file) ||
  file.endsWith('.d.ts') ||
  !file.startsWith('src/')

/** Source files that no entry point reaches by imports or by name. */
export function unreachedFiles(tree: Tree): string[] {
  const edges = [...importsOf(tree), ...mentionsOf(tree)].filter(({ isFile }) => isFile)
  const reached = new Set([...tree.keys()].filter(isEntry))
  const waiting = [...reached]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    for (const { to } of edges.filter(({ from }) => from === file)) {
      if (tree.has(to) && !reached.has(to)) {
        reached.add(to)
        waiting.push(to)
      }
    }
  }
  return [...tree.keys()].filter((file) => isSource(file) && !reached.has(file))
}

/** Node modules and globals in code that the portal loads, directly or through what it imports. */
export function nodeInBrowser(tree: Tree): string[] {
  const imports = importsOf(tree)
  const shared = new Set(
    [...tree.keys()].filter((file) => /^src\/portal\/(?!vite\.config)/.test(file)),
  )
  const found: string[] = []
  for (const file of shared) {
    for (const { to, isFile } of imports.filter(({ from }) => from === file)) {
      if (isFile && tree.has(to)) shared.add(to)
      if (!isFile && to.startsWith('node:')) found.push(`${file} -> ${to}`)
    }
    if (/\bBuffer\b|\bprocess\b/.test(codeOf(file, tree.get(file) ?? '')))
      found.push(`${file} uses Buffer or process`)
  }
  return found
}

export const browserStarters = (tree: Tree): string[] =>
  importsOf(tree)
    .filter(({ to }) => /^(playwright|puppeteer|selenium|chrome-launcher)/.test(to))
    .map(({ from, to }) => `${from} -> ${to}`)

/** Packages that workflow files import and that do not belong into Temporal's sandbox. */
export const unfitForWorkflows = (tree: Tree): string[] =>
  importsOf(tree)
    .filter(({ from }) => /^src\/runtime\/(workflows|[\w-]+-workflows?)\.ts$/.test(from))
    .filter(({ to, isFile }) => !isFile && !/^@temporalio\/(workflow|common)$/.test(to))
    .map(({ from, to }) => `${from} -> ${to}`)
