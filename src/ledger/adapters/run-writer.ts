import { join } from 'node:path'
import type { FilePort } from './file-port.js'
import { createFilter } from './index-filter.js'
import {
  compareKeys,
  entryWords,
  pageBytes,
  pageEntriesMax,
  sealPage,
  type Words,
} from './index-page.js'
import { bytesOfWords, encodeRunHead, firstWords, pagesOf, type RunHead } from './sorted-run.js'

const bufferPages = 256

/**
 * Writes a run, entry by entry in their order. Until the manifest names it, the file is nothing: if we
 * stop here, the next start removes it.
 */
export interface RunWriter {
  /** Takes the entry at `at` of `words`; true when `flush` is due. */
  add(words: Words, at: number): boolean
  flush(): Promise<void>
  /** Resolves when the run is durable. */
  finish(): Promise<void>
  /** Gives up and removes the file. */
  abandon(): Promise<void>
}

export async function createRunWriter(
  files: FilePort,
  folder: string,
  name: string,
  plan: Omit<RunHead, 'filterBytes'>,
): Promise<RunWriter> {
  const path = join(folder, name)
  await files.remove(path)
  const file = await files.open(path, 'create')
  const filter = createFilter(plan.keys)
  const firsts = new Uint32Array(pagesOf(plan.entries) * firstWords)
  const buffer = new Uint32Array((bufferPages * pageBytes) / 4)
  const last = new Uint32Array(entryWords)
  const key = last.subarray(0, 4)
  let buffered = 0
  let pages = 0
  let inPage = 0
  let entries = 0

  const pageOf = (number: number) =>
    buffer.subarray((number * pageBytes) / 4, ((number + 1) * pageBytes) / 4)
  const closePage = () => {
    if (inPage === 0) return
    sealPage(pageOf(buffered), inPage)
    buffered += 1
    inPage = 0
  }
  const flush = async () => {
    if (buffered === 0) return
    await file.write(
      bytesOfWords(buffer).subarray(0, buffered * pageBytes),
      pageBytes * (1 + pages - buffered),
    )
    buffered = 0
    buffer.fill(0)
  }

  return {
    add(words, at) {
      const base = (buffered * pageBytes) / 4 + inPage * entryWords
      for (let i = 0; i < entryWords; i += 1) buffer[base + i] = words[at + i] ?? 0
      if (entries === 0 || compareKeys(buffer, base, last, 0) !== 0) {
        for (let i = 0; i < 4; i += 1) key[i] = words[at + i] ?? 0
        filter.add(key)
      }
      if (inPage === 0) {
        for (let i = 0; i < entryWords; i += 1) firsts[pages * firstWords + i] = words[at + i] ?? 0
        pages += 1
      }
      inPage += 1
      entries += 1
      if (inPage < pageEntriesMax) return false
      closePage()
      return buffered === bufferPages
    },
    flush,
    async finish() {
      closePage()
      await flush()
      if (entries !== plan.entries) throw new RangeError(`${entries} entries of ${plan.entries}`)
      const end = pageBytes * (1 + pages)
      await file.write(filter.bytes, end)
      await file.write(bytesOfWords(firsts), end + filter.bytes.length)
      const head = { ...plan, filterBytes: filter.bytes.length }
      await file.write(encodeRunHead(head, filter.bytes, firsts), 0)
      await file.sync()
      await file.close()
    },
    async abandon() {
      await file.close()
      await files.remove(path)
    },
  }
}
