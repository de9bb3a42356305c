export function readTap(
  stream: NodeJS.ReadableStream,
  say: (line: string) => void,
): Promise<{ passed: number; failed: number; skipped: number }>
