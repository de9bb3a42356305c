/** The package has no types of its own; only what the tests use. */
declare module 'rdf-canonize' {
  export function canonize(
    quads: readonly object[],
    options: { readonly algorithm: 'RDFC-1.0' },
  ): Promise<string>
}
