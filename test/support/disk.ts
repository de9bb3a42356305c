import { basename, dirname } from 'node:path'
import type { FilePort, LedgerFile } from '../../src/ledger/adapters/file-port.js'

/**
 * A disk in memory that knows what a power cut may take: bytes of a file until the file is synced,
 * names in a folder until the folder is synced. Nothing a real disk keeps by luck is kept here.
 */
export interface Disk {
  readonly files: DiskFiles
  /** The same disk once more; what happens to one does not happen to the other. */
  copy(): Disk
  /** What is found after a power cut. */
  afterPowerCut(loss: Loss): Disk
  /** Every file as a program sees it now, by path. */
  contents(): ReadonlyMap<string, Buffer>
  /** Puts a file there, whole and durable. */
  put(path: string, bytes: Uint8Array): void
}

/** Which unsynced things a power cut takes. */
export const losses = {
  'nothing unsynced is left': { names: false, bytes: 'lost' },
  'everything unsynced is left': { names: true, bytes: 'kept' },
  'names are left without their bytes': { names: true, bytes: 'lost' },
  'bytes are left without their names': { names: false, bytes: 'kept' },
  'lengths are left, the bytes are zeros': { names: true, bytes: 'zeros' },
  'half of each unsynced write is left': { names: true, bytes: 'half' },
} as const satisfies Record<string, { names: boolean; bytes: 'lost' | 'kept' | 'zeros' | 'half' }>
export type Loss = keyof typeof losses
export const everyLoss = Object.keys(losses) as Loss[]

export interface DiskFile extends LedgerFile {
  /** What a failed sync may do: the system takes the bytes for clean, and no later sync writes them. */
  forget(): void
}

export interface DiskFiles extends FilePort {
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile>
}

interface Change {
  readonly offset: number
  /** Null cuts the file off at `offset`. */
  readonly bytes: Buffer | null
  readonly forgotten: boolean
}

interface FileNode {
  readonly kind: 'file'
  content: Buffer
  durable: Buffer
  changes: Change[]
}

interface FolderNode {
  readonly kind: 'folder'
  entries: Map<string, Node>
  durable: Map<string, Node>
}

type Node = FileNode | FolderNode

const systemError = (code: string, path: string) =>
  Object.assign(new Error(`${code}: ${path}`), { code })

function applied(content: Buffer, { offset, bytes }: Change): Buffer {
  if (bytes === null) {
    const cut = Buffer.alloc(offset)
    content.copy(cut, 0, 0, offset)
    return cut
  }
  const grown = Buffer.alloc(Math.max(content.length, offset + bytes.length))
  content.copy(grown)
  bytes.copy(grown, offset)
  return grown
}

export const createDisk = (): Disk =>
  diskOver({ kind: 'folder', entries: new Map(), durable: new Map() })

function diskOver(root: FolderNode): Disk {
  return {
    files: filesOver(root),
    copy: () => diskOver(copied(root, new Map()) as FolderNode),
    afterPowerCut: (loss) => diskOver(survivors(root, losses[loss], new Map()) as FolderNode),
    contents() {
      const all = new Map<string, Buffer>()
      const walk = (folder: FolderNode, path: string) => {
        for (const [name, node] of folder.entries) {
          if (node.kind === 'folder') walk(node, `${path}/${name}`)
          else all.set(`${path}/${name}`, Buffer.from(node.content))
        }
      }
      walk(root, '')
      return all
    },
    put(path, bytes) {
      const folder = makeFolder(root, dirname(path))
      const content = Buffer.from(bytes)
      const node: FileNode = { kind: 'file', content, durable: content, changes: [] }
      folder.entries.set(basename(path), node)
      folder.durable.set(basename(path), node)
    },
  }
}

function copied(node: Node, seen: Map<Node, Node>): Node {
  const known = seen.get(node)
  if (known !== undefined) return known
  if (node.kind === 'file') {
    const file = { ...node, changes: [...node.changes] }
    seen.set(node, file)
    return file
  }
  const folder: FolderNode = { kind: 'folder', entries: new Map(), durable: new Map() }
  seen.set(node, folder)
  for (const [name, child] of node.entries) folder.entries.set(name, copied(child, seen))
  for (const [name, child] of node.durable) folder.durable.set(name, copied(child, seen))
  return folder
}

/** The node as it stands on the disk when the power is back: all of it durable. */
function survivors(node: Node, loss: (typeof losses)[Loss], seen: Map<Node, Node>): Node {
  const known = seen.get(node)
  if (known !== undefined) return known
  if (node.kind === 'file') {
    const content = contentAfter(node, loss.bytes)
    const file: FileNode = { kind: 'file', content, durable: content, changes: [] }
    seen.set(node, file)
    return file
  }
  const folder: FolderNode = { kind: 'folder', entries: new Map(), durable: new Map() }
  seen.set(node, folder)
  for (const [name, child] of loss.names ? node.entries : node.durable) {
    const left = survivors(child, loss, seen)
    folder.entries.set(name, left)
    folder.durable.set(name, left)
  }
  return folder
}

function contentAfter(
  { content, durable, changes }: FileNode,
  bytes: (typeof losses)[Loss]['bytes'],
): Buffer {
  if (bytes === 'lost') return durable
  if (bytes === 'kept') return content
  return changes.reduce((left, change) => {
    if (change.bytes === null) return applied(left, change)
    const { length } = change.bytes
    if (bytes === 'half')
      return applied(left, { ...change, bytes: change.bytes.subarray(0, length >> 1) })
    // Only bytes behind the old end become zeros; what stood there before stays or is replaced.
    const added = Math.max(0, change.offset + length - left.length)
    return Buffer.concat([left, Buffer.alloc(added)])
  }, durable)
}

const partsOf = (path: string) => path.split('/').filter((part) => part !== '')

function nodeAt(root: FolderNode, path: string): Node | undefined {
  let node: Node | undefined = root
  for (const part of partsOf(path)) {
    if (node?.kind !== 'folder') return undefined
    node = node.entries.get(part)
  }
  return node
}

function folderAt(root: FolderNode, path: string): FolderNode {
  const node = nodeAt(root, path)
  if (node?.kind !== 'folder') throw systemError('ENOENT', path)
  return node
}

function makeFolder(root: FolderNode, path: string): FolderNode {
  let folder = root
  for (const part of partsOf(path)) {
    let next = folder.entries.get(part)
    if (next === undefined) {
      next = { kind: 'folder', entries: new Map(), durable: new Map() }
      folder.entries.set(part, next)
      folder.durable.set(part, next)
    }
    if (next.kind !== 'folder') throw systemError('ENOTDIR', path)
    folder = next
  }
  return folder
}

function openFile(path: string, node: FileNode): DiskFile {
  let isOpen = true
  const beOpen = () => {
    if (!isOpen) throw systemError('EBADF', path)
  }
  const change = (offset: number, bytes: Buffer | null) => {
    beOpen()
    const made = { offset, bytes, forgotten: false }
    node.changes.push(made)
    node.content = applied(node.content, made)
  }
  return {
    path,
    read: async (into, offset) => node.content.copy(into, 0, offset),
    write: async (bytes, offset) => change(offset, Buffer.from(bytes)),
    async sync() {
      beOpen()
      const written = node.changes.filter(({ forgotten }) => !forgotten)
      node.durable = written.reduce(applied, node.durable)
      node.changes = node.changes.filter(({ forgotten }) => forgotten)
    },
    truncate: async (size) => change(size, null),
    size: async () => node.content.length,
    close: async () => void (isOpen = false),
    forget() {
      node.changes = node.changes.map((made) => ({ ...made, forgotten: true }))
    },
  }
}

function filesOver(root: FolderNode): DiskFiles {
  return {
    async open(path, mode) {
      const folder = folderAt(root, dirname(path))
      const present = folder.entries.get(basename(path))
      if (present?.kind === 'folder') throw systemError('EISDIR', path)
      if (mode === 'create') {
        if (present !== undefined) throw systemError('EEXIST', path)
        const empty = Buffer.alloc(0)
        const node: FileNode = { kind: 'file', content: empty, durable: empty, changes: [] }
        folder.entries.set(basename(path), node)
        return openFile(path, node)
      }
      if (present === undefined) throw systemError('ENOENT', path)
      return openFile(path, present)
    },
    async readWhole(path) {
      const node = nodeAt(root, path)
      return node?.kind === 'file' ? Buffer.from(node.content) : undefined
    },
    async modeOf(path) {
      return nodeAt(root, path)?.kind === 'file' ? 0o600 : undefined
    },
    async list(path) {
      const node = nodeAt(root, path)
      return node?.kind === 'folder' ? [...node.entries.keys()].sort() : []
    },
    async createFolder(path) {
      makeFolder(root, path)
    },
    async rename(from, to) {
      const source = folderAt(root, dirname(from))
      const node = source.entries.get(basename(from))
      if (node === undefined) throw systemError('ENOENT', from)
      source.entries.delete(basename(from))
      folderAt(root, dirname(to)).entries.set(basename(to), node)
    },
    async remove(path) {
      const folder = nodeAt(root, dirname(path))
      if (folder?.kind === 'folder') folder.entries.delete(basename(path))
    },
    async syncFolder(path) {
      const folder = folderAt(root, path)
      folder.durable = new Map(folder.entries)
    },
  }
}
