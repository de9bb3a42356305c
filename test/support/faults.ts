import type { FilePort, LedgerFile } from '../../src/ledger/adapters/file-port.js'
import type { Disk } from './disk.js'

/** What can go wrong with one call. */
export const everyFault = [
  'fails, nothing done',
  'fails, though done',
  'fails half way',
  'fails half way for want of space',
  'killed before',
  'killed after',
] as const
export type Fault = (typeof everyFault)[number]

/** A call of the engine to its files: what it does, and to which file or folder. */
export interface Call {
  readonly method: string
  readonly path: string
  /** Whether it changes anything; others can only fail. */
  readonly changes: boolean
}

export const isKill = (fault: Fault): boolean => fault.startsWith('killed')

/** Whether the fault means something for the call: only a write can end half way. */
export const applies = (fault: Fault, { method, changes }: Call): boolean =>
  fault === 'fails, nothing done' ||
  (changes && (method === 'write' || !fault.startsWith('fails half way')))

/** A process on a disk: its calls are counted, and one of them may go wrong. */
export interface Process {
  readonly files: FilePort
  readonly calls: readonly Call[]
  /** The call that went wrong; undefined as long as none has. */
  readonly hit: Call | undefined
}

const failure = (code: string) => Object.assign(new Error(`${code}, injected`), { code })

/** Begins a process. After a kill none of its calls does anything any more. */
export function startProcess(disk: Disk, plan?: { at: number; fault: Fault }): Process {
  const calls: Call[] = []
  let hit: Call | undefined
  let dead = false

  /** Does a call, or what goes wrong instead. `half` does a part of it, `fail` what a failure leaves. */
  const call = async <Answer>(
    what: Call,
    act: () => Promise<Answer>,
    half: () => Promise<unknown> = act,
    fail: () => void = () => undefined,
  ): Promise<Answer> => {
    if (dead) throw new Error('the process is dead')
    calls.push(what)
    if (plan === undefined || calls.length - 1 !== plan.at || !applies(plan.fault, what))
      return act()
    hit = what
    if (plan.fault === 'fails, nothing done') fail()
    if (plan.fault === 'fails, though done' || plan.fault === 'killed after') await act()
    if (plan.fault.startsWith('fails half way')) await half()
    dead = isKill(plan.fault)
    throw failure(plan.fault.endsWith('space') ? 'ENOSPC' : 'EIO')
  }

  const openFile = async (path: string, mode: 'read' | 'write' | 'create'): Promise<LedgerFile> => {
    const what = { method: mode === 'create' ? 'create' : 'open', path, changes: mode === 'create' }
    const file = await call(what, () => disk.files.open(path, mode))
    const on = (method: string, changes: boolean) => ({ method, path, changes })
    return {
      path,
      read: (into, offset) => call(on('read', false), () => file.read(into, offset)),
      write: (bytes, offset) =>
        call(
          on('write', true),
          () => file.write(bytes, offset),
          () => file.write(bytes.subarray(0, bytes.length >> 1), offset),
        ),
      sync: () =>
        call(
          on('sync', true),
          () => file.sync(),
          () => file.sync(),
          () => file.forget(),
        ),
      truncate: (size) => call(on('truncate', true), () => file.truncate(size)),
      size: () => call(on('size', false), () => file.size()),
      // A dead process has closed its files.
      close: async () => (dead ? undefined : call(on('close', false), () => file.close())),
    }
  }

  const { files } = disk
  const on = (method: string, path: string, changes: boolean) => ({ method, path, changes })
  return {
    calls,
    get hit() {
      return hit
    },
    files: {
      open: openFile,
      readWhole: (path) => call(on('readWhole', path, false), () => files.readWhole(path)),
      modeOf: (path) => call(on('modeOf', path, false), () => files.modeOf(path)),
      list: (path) => call(on('list', path, false), () => files.list(path)),
      createFolder: (path) => call(on('createFolder', path, true), () => files.createFolder(path)),
      rename: (from, to) => call(on('rename', to, true), () => files.rename(from, to)),
      remove: (path) => call(on('remove', path, true), () => files.remove(path)),
      syncFolder: (path) => call(on('syncFolder', path, true), () => files.syncFolder(path)),
    },
  }
}
