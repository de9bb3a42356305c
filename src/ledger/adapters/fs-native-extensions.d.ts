declare module 'fs-native-extensions' {
  const extensions: {
    /** False when another open file holds a conflicting lock. Length 0 = to the end of the file. */
    tryLock(fd: number, offset: number, length: number, options: { shared: boolean }): boolean
    unlock(fd: number, offset?: number, length?: number): void
  }
  export default extensions
}
