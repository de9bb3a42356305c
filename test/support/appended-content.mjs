/** The data of an event, which follows from its id: so a reader can tell whether it was changed. */
export const contentOf = (id, batch, size) => `${batch} ${size} ${id} `.repeat(3)
