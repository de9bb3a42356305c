// The figures in the order in which they are measured and shown. Each has a title, `measure(run)` and
// `tables(result)`; a result carries its ratios, or the reason why it was skipped.
import * as append from './figures/append.mjs'

export const figures = { append }
