import type { Quad } from './rdf.js'

/** Writes statements for people and for tools that read one graph at a time. */
export interface GraphText {
  /** All statements as one graph: Turtle has no names of graphs. */
  turtle(quads: readonly Quad[]): Promise<string>
  trig(quads: readonly Quad[]): Promise<string>
}
