import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type GroupStore, SubscriptionGroup } from '../../contracts/subscription-group.js'
import { EvidenceError } from '../../contracts/errors.js'

/**
 * One file per group, replaced as a whole: a crash leaves the old one or the new one. Losing the folder loses
 * how far consumers have come, and nothing else.
 */
export function openGroupFiles(folder: string): GroupStore {
  const pathOf = ({ project, stream, group }: SubscriptionGroup) => {
    const name = JSON.stringify([project, stream, group])
    return join(folder, `${createHash('sha256').update(name).digest('hex').slice(0, 40)}.json`)
  }
  return {
    async load() {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json'))
      return Promise.all(names.sort().map((name) => read(join(folder, name))))
    },
    async save(group) {
      const path = pathOf(group)
      const file = await open(`${path}.new`, 'w', 0o600)
      try {
        await file.writeFile(JSON.stringify(group))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(`${path}.new`, path)
    },
    remove: (group) => rm(pathOf(group), { force: true }),
  }
}

async function read(path: string): Promise<SubscriptionGroup> {
  const text = await readFile(path, 'utf8')
  try {
    return SubscriptionGroup.parse(JSON.parse(text))
  } catch (cause) {
    throw new EvidenceError(
      'DATA_FOLDER_INVALID',
      `${path} is no persistent subscription: remove it, and create the subscription again`,
      { cause },
    )
  }
}
