import { runProduct } from './product.mjs'

await runProduct(['up', '--install-temporal', ...process.argv.slice(2)])
