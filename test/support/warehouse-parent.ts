import { startWarehouse } from '../../src/projections/adapters/warehouse-child.js'
import { loader, warehouseEntry } from './warehouse.js'

/** A parent that a test kills: prints the pid of its warehouse process. */
const running = await startWarehouse({
  folder: process.argv[2] ?? '',
  listen: { host: '127.0.0.1', port: 0 },
  entry: warehouseEntry,
  execArgv: loader,
  log: { info: () => undefined, warn: () => undefined },
})
console.log(running.pid())
