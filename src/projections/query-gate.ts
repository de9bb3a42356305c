import { EvidenceError } from '../contracts/errors.js'

/**
 * Decides whether a person's SQL only reads the fact tables. The engine itself parses it:
 * `formatQuerySingleLine` answers the one statement it is, in normal form and without comments
 * (several statements are a syntax error there), and `EXPLAIN AST` names everything it would
 * touch. `readonly=1` is set as well, but alone it lets INTO OUTFILE, s3() and most of `system` pass.
 */

/** A statement that may run: its FORMAT clause is taken off. */
export interface ReadingStatement {
  readonly sql: string
  readonly format: string | null
}

/** Puts one constant statement to the engine and answers its single text. */
export type AskEngine = (
  sql: string,
  parameters: Readonly<Record<string, string>>,
) => Promise<string>

const statements = new Set([
  'SelectWithUnionQuery',
  'DescribeQuery',
  'ShowTables',
  'ShowColumns',
  'ShowCreateTableQuery',
  'ExistsTableQuery',
  'Explain EXPLAIN',
  'Explain EXPLAIN AST',
  'Explain EXPLAIN SYNTAX',
  'Explain EXPLAIN QUERY TREE',
  'Explain EXPLAIN PLAN',
  'Explain EXPLAIN PIPELINE',
  'Explain EXPLAIN ESTIMATE',
])
const tableFunctions = new Set([
  'numbers',
  'numbers_mt',
  'zeros',
  'zeros_mt',
  'generateseries',
  'generate_series',
  'values',
])
const systemTables = new Set([
  'one',
  'numbers',
  'numbers_mt',
  'tables',
  'columns',
  'databases',
  'parts',
  'functions',
  'formats',
  'data_type_families',
  'time_zones',
])
/** Scalar functions that read files, other servers, memory or metadata, or only burn time. */
const refusedFunctions =
  /^(file|filesystem\w*|joinget\w*|dict\w+|sleep\w*|catboostevaluate|addressto\w+|trap|logtrace|showcertificate|getmacro|evalmlmethod|ai[a-z]+|executable\w*|naturallanguage\w*)$/

const refuse = (detail: string): never => {
  throw new EvidenceError('QUERY_INVALID', detail)
}

/** The normal form with the content of quotes blanked, so that words can be looked for. Same length. */
const withoutQuotes = (sql: string): string =>
  sql.replace(/'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*"/gs, (quoted) =>
    quoted[0] === "'" ? `'${' '.repeat(quoted.length - 2)}'` : '_'.repeat(quoted.length),
  )

function splitFormat(normal: string): ReadingStatement {
  const bare = withoutQuotes(normal)
  if (/[;]/.test(bare)) refuse('only one statement is allowed')
  if (/\bINTO\s+(OUTFILE|DUMPFILE)\b/i.test(bare)) refuse('INTO OUTFILE is not allowed')
  if (/\bSETTINGS\b\s+\w+\s*=/i.test(bare)) {
    refuse('SETTINGS are not allowed in the statement: its bounds are fixed')
  }
  const found = /^(.*?)\s+FORMAT\s+(\w+)$/s.exec(bare)
  if (found === null) return { sql: normal, format: null }
  return { sql: normal.slice(0, found[1]?.length), format: found[2] ?? null }
}

function checkTable(name: string): void {
  const dot = name.indexOf('.')
  if (dot === -1) return
  const database = name.slice(0, dot)
  const table = name.slice(dot + 1)
  if (database === 'default' || database.toLowerCase() === 'information_schema') return
  if (database === 'system' && systemTables.has(table)) return
  refuse(`the table ${name} is not one of the fact tables`)
}

/** In an expression an identifier may be a column; `x IN system.users` makes it a table. */
function checkIdentifier(name: string): void {
  const [database, table] = name.split('.')
  if (database === 'system' && table !== undefined && !systemTables.has(table)) {
    refuse(`${name} is not one of the fact tables`)
  }
}

function checkTree(tree: string): void {
  const lines = tree.split('\n').map((line) => line.trim())
  const root = (lines[0] ?? '').replace(/\s*\(children \d+\)$/, '').trim()
  const kind = root.startsWith('Explain ') ? root : (root.split(' ')[0] ?? '')
  if (!statements.has(kind)) refuse('only SELECT, EXPLAIN, DESCRIBE, SHOW and EXISTS are allowed')
  for (const [index, line] of lines.entries()) {
    const [node, name = ''] = line.split(' ')
    // A quoted name may hold a newline and so forge lines; forged lines can only be refused.
    if (node === 'TableIdentifier') checkTable(name)
    if (node === 'Identifier') checkIdentifier(name)
    if (node === 'Set') refuse('SETTINGS are not allowed in the statement: its bounds are fixed')
    if (node !== 'Function') continue
    if (refusedFunctions.test(name.toLowerCase())) refuse(`the function ${name} is not allowed`)
    const isTable = lines[index - 1]?.startsWith('TableExpression') === true
    if (isTable && !tableFunctions.has(name.toLowerCase())) {
      refuse(`the table function ${name} is not allowed`)
    }
  }
}

/**
 * The statement as it may run. Every parameter is bound before the check, so that one cannot
 * name a table that the check did not see.
 *
 * @throws EvidenceError QUERY_INVALID naming what is not allowed.
 */
export async function readingStatement(
  sql: string,
  parameters: Readonly<Record<string, string>>,
  ask: AskEngine,
): Promise<ReadingStatement> {
  const normal = (
    await ask('SELECT formatQuerySingleLine({statement:String})', { statement: sql })
  ).replace(/\n$/, '')
  if (!/^(SELECT|WITH|\(|EXPLAIN|DESCRIBE|SHOW|EXISTS)/i.test(normal)) {
    refuse('only SELECT, EXPLAIN, DESCRIBE, SHOW and EXISTS are allowed')
  }
  const statement = splitFormat(normal)
  checkTree(await ask(`EXPLAIN AST ${statement.sql}`, parameters))
  return statement
}
