/** The value below which `share` of the values lie, with three decimals. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return Number(value.toFixed(3))
}

export const median = (values) => quantile(values, 0.5)

/** `a / b` with three significant digits; null when there is nothing to divide by. */
export const ratioOf = (a, b) => (b > 0 ? Number((a / b).toPrecision(3)) : null)
