// Bundles the workflows ahead of time: a worker then starts without a bundler.
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleWorkflowCode } from '@temporalio/worker'
import { repository } from './built.mjs'

const target = join(repository, 'dist', 'workflow-bundle.js')
const silent = () => {}

const { code } = await bundleWorkflowCode({
  workflowsPath: join(repository, 'dist', 'runtime', 'workflows.js'),
  logger: {
    log: silent,
    trace: silent,
    debug: silent,
    info: silent,
    warn: (message) => console.error(message),
    error: (message) => console.error(message),
  },
})
await mkdir(join(repository, 'dist'), { recursive: true })
await writeFile(`${target}.new`, code)
await rename(`${target}.new`, target)
