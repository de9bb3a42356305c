// The figures in the order in which they are measured and shown. Each has a title, `measure(run)` and
// `tables(result)`; a result carries its ratios, or the reason why it was skipped.
import * as add from './figures/add.mjs'
import * as append from './figures/append.mjs'
import * as growth from './figures/growth.mjs'
import * as grpc from './figures/grpc.mjs'
import * as http from './figures/http.mjs'
import * as proofs from './figures/proofs.mjs'
import * as start from './figures/start.mjs'

export const figures = { append, add, http, grpc, proofs, start, growth }
