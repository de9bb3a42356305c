import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import ts from 'typescript'
import { repository } from './product.js'

/** Files by their path in the repository, with their text. Rules are tried on planted trees too. */
export type Tree = ReadonlyMap<string, string>

export interface Import {
  readonly from: string
  /** Path in the repository, or the name of a package. */
  readonly to: string
  readonly isFile: boolean
  /** `import type`: nothing is left of it at run time. */
  readonly isErased: boolean
}

/** Every file below the folders whose name matches. */
export function readTree(folders: readonly string[], name: RegExp): Tree {
  const files = folders.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && name.test(entry.name))
      .map((entry) => relative(repository, join(entry.parentPath, entry.name))),
  )
  return new Map(
    files
      .filter((file) => !file.split('/').includes('node_modules'))
      .sort()
      .map((file) => [file, readFileSync(join(repository, file), 'utf8')]),
  )
}

/** The file of a tree that a relative specifier names; imports end in .js where the source is .ts. */
function resolveIn(tree: Tree, from: string, specifier: string): string {
  const path = posix.join(posix.dirname(from), specifier)
  const candidates = [path, path.replace(/\.js$/, '.ts'), path.replace(/\.jsx?$/, '.tsx')]
  return candidates.find((candidate) => tree.has(candidate)) ?? path
}

/** Where the statements stand that the compiler erases: `import type` and `export type`. */
const erasedImports = (file: string, text: string): (readonly [number, number])[] =>
  parse(file, text).statements.flatMap((statement) =>
    (ts.isImportDeclaration(statement) &&
      statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) ||
    (ts.isExportDeclaration(statement) && statement.isTypeOnly)
      ? [[statement.pos, statement.end] as const]
      : [],
  )

const importCache = new WeakMap<Tree, readonly Import[]>()

/** Every import and re-export of every file, types included. */
export function importsOf(tree: Tree): readonly Import[] {
  const known = importCache.get(tree)
  if (known !== undefined) return known
  const imports = [...tree].flatMap(([from, text]) => {
    const erased = erasedImports(from, text)
    return ts.preProcessFile(text).importedFiles.map(({ fileName, pos }): Import => {
      const isFile = fileName.startsWith('.')
      const to = isFile ? resolveIn(tree, from, fileName) : fileName
      return {
        from,
        to,
        isFile,
        isErased: erased.some(([start, end]) => start <= pos && pos < end),
      }
    })
  })
  importCache.set(tree, imports)
  return imports
}

/** Files named by a string, as `new URL('./child.js', import.meta.url)` and scripts name them. */
export const mentionsOf = (tree: Tree): readonly Import[] =>
  [...tree].flatMap(([from, text]) =>
    [...text.matchAll(/['"`]([\w./-]+\.(?:[cm]?js|tsx?|css))['"`]/g)].map(([, named = '']) => {
      const source = named.replace(/^.*\bdist\//, 'src/').replace(/\.js$/, '.ts')
      return {
        from,
        to: tree.has(source) ? source : resolveIn(tree, from, named),
        isFile: true,
        isErased: false,
      }
    }),
  )

const parsed = new Map<string, ts.SourceFile>()

function parse(file: string, text: string): ts.SourceFile {
  const key = `${file}\0${text}`
  const known = parsed.get(key)
  if (known !== undefined) return known
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  parsed.set(key, source)
  return source
}

/** The code of a file without its comments and the text of its strings. */
export function codeOf(file: string, text: string): string {
  const source = parse(file, text)
  const words: string[] = []
  const visit = (node: ts.Node): void => {
    const isText =
      ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isJsxText(node)
    const children = node.getChildren(source)
    if (isText) words.push("''")
    else if (children.length === 0) words.push(node.getText(source))
    else for (const child of children) if (!ts.isJSDoc(child)) visit(child)
  }
  visit(source)
  return words.join(' ').replaceAll(/ ?(\?\.|\.) ?/g, '$1')
}

/** Names that a file declares at its top level. */
export function declaredNames(file: string, text: string): string[] {
  return parse(file, text).statements.flatMap((statement) => {
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map((one) => one.name.getText())
    }
    const named =
      ts.isFunctionDeclaration(statement) ||
      ts.isClassDeclaration(statement) ||
      ts.isInterfaceDeclaration(statement) ||
      ts.isTypeAliasDeclaration(statement)
    return named && statement.name !== undefined ? [statement.name.text] : []
  })
}

export interface MeasuredFunction {
  readonly name: string
  /** Lines of its own: functions of several lines inside it are measured by themselves. */
  readonly lines: number
  readonly isComponent: boolean
}

/** Every function of a file with its length. */
export function functionsOf(file: string, text: string): MeasuredFunction[] {
  const source = parse(file, text)
  const found: MeasuredFunction[] = []
  const span = (node: ts.Node) =>
    source.getLineAndCharacterOfPosition(node.end).line -
    source.getLineAndCharacterOfPosition(node.getStart(source)).line +
    1
  const nameOf = (node: ts.Node): string => {
    const named = node as { name?: ts.Node }
    if (named.name !== undefined) return named.name.getText(source)
    const parent = node.parent as { name?: ts.Node } | undefined
    return parent?.name?.getText(source) ?? `function at line ${lineOf(node)}`
  }
  const lineOf = (node: ts.Node) =>
    source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1

  /** Visits a node and answers how many lines the functions inside it take. */
  const visit = (node: ts.Node): number => {
    let inner = 0
    ts.forEachChild(node, (child) => {
      inner += visit(child)
    })
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return inner
    const name = nameOf(node)
    const isComponent = file.endsWith('.tsx') && /^[A-Z]/.test(name)
    found.push({ name, lines: span(node) - inner, isComponent })
    return Math.max(0, span(node) - 2)
  }
  visit(source)
  return found
}
