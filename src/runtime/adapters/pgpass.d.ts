declare module 'pgpass' {
  interface Connection {
    readonly host: string
    readonly port: number
    readonly database: string | undefined
    readonly user: string | undefined
  }
  export default function passwordOf(
    connection: Connection,
    answer: (password: string | undefined) => void,
  ): void
}
