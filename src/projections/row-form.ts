import type { Cell } from './warehouse.js'

/**
 * One form for a cell, whether a projector made it or the warehouse answered it: what a projector
 * leaves out is the default of its column, 64-bit integers are text, maps are in the order of their keys.
 */
export type CellForm = (cell: Cell | undefined) => Cell

const wholeNumbers = /^U?Int(8|16|32)$|^Float(32|64)$/
const longNumbers = /^U?Int(64|128|256)$/
const texts =
  /^(String|UUID|DateTime64\(.*\)|DateTime(\(.*\))?|Date|Date32|FixedString\(\d+\)|Enum\d*\(.*\))$/

/** The form of a column of this ClickHouse type. @throws RangeError for a type that no fact table has. */
export function cellForm(type: string): CellForm {
  if (longNumbers.test(type))
    return (cell) => (typeof cell === 'string' ? cell : String(Number(cell ?? 0)))
  if (wholeNumbers.test(type)) return (cell) => Number(cell ?? 0)
  if (type === 'Bool') return (cell) => cell ?? false
  if (texts.test(type)) return (cell) => cell ?? ''
  const [, outer, inner] = /^(\w+)\((.*)\)$/s.exec(type) ?? []
  if (inner === undefined) throw new RangeError(`no fact table has a column of type ${type}`)
  if (outer === 'LowCardinality') return cellForm(inner)
  if (outer === 'Nullable') return nullable(cellForm(inner))
  if (outer === 'Array') return list(cellForm(inner))
  if (outer === 'Map') return map(parts(inner))
  if (outer === 'Tuple') return tuple(parts(inner))
  throw new RangeError(`no fact table has a column of type ${type}`)
}

const nullable =
  (form: CellForm): CellForm =>
  (cell) =>
    cell === undefined || cell === null ? null : form(cell)

const list =
  (form: CellForm): CellForm =>
  (cell) =>
    Array.isArray(cell) ? cell.map((one: Cell) => form(one)) : []

function map([, value = 'String']: readonly string[]): CellForm {
  const form = cellForm(value)
  return (cell) =>
    Object.entries(cell ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]: [string, Cell]) => [key, form(one)])
}

function tuple(members: readonly string[]): CellForm {
  const forms = members.map((member) => {
    const [, name = '', type = ''] = /^`?(\w+)`? (.*)$/s.exec(member) ?? []
    return [name, cellForm(type)] as const
  })
  return (cell) => {
    const given = (cell ?? {}) as Readonly<Record<string, Cell>>
    return forms.map(([name, form]) => form(given[name]))
  }
}

/** What stands between commas outside of brackets. */
function parts(text: string): readonly string[] {
  const found: string[] = []
  let depth = 0
  let start = 0
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at]
    if (letter === '(') depth += 1
    else if (letter === ')') depth -= 1
    else if (letter === ',' && depth === 0) {
      found.push(text.slice(start, at).trim())
      start = at + 1
    }
  }
  return [...found, text.slice(start).trim()]
}
