import { runProduct } from './product.mjs'

await runProduct(['demo', ...process.argv.slice(2)])
