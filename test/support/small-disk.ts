import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { Test } from 'tap'

/** Why no small disk can be had here; false where it can. Where everything must be tested it can. */
export const noSmallDisk =
  process.getuid?.() === 0 || process.env.CI === 'true'
    ? false
    : 'a small file system can be mounted by root only'

/** Mounts a memory disk of this many KiB on a folder, until the end of the test. */
export function mountSmallDisk(t: Test, folder: string, kib: number) {
  mkdirSync(folder, { recursive: true })
  const mount = (...options: string[]) =>
    execFileSync('mount', [...options, 'tmpfs', folder], { stdio: 'pipe' })
  mount('-t', 'tmpfs', '-o', `size=${kib}k`)
  t.teardown(() => execFileSync('umount', [folder], { stdio: 'pipe' }))
  return { resize: (kib: number) => void mount('-o', `remount,size=${kib}k`) }
}
