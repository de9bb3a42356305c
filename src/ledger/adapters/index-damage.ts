import { EvidenceError } from '../../contracts/errors.js'

/** The error that names a damaged place of the index. Nothing is lost: the index is made anew from the journal. */
export const indexDamage = (file: string, offset: number, flaw: string) =>
  new EvidenceError('INDEX_DAMAGED', `index/${file} is damaged at offset ${offset}: ${flaw}`, {
    details: { file: `index/${file}`, offset, flaw },
  })

export const isIndexDamage = (error: unknown): error is EvidenceError =>
  error instanceof EvidenceError && error.code === 'INDEX_DAMAGED'
