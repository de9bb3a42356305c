import * as z from 'zod'

/** A yes or no in a query; a name alone (`?witnessed`, `?witnessed=`) says yes. */
export const asked = z.enum(['', 'true', 'false']).transform((text) => text !== 'false')
