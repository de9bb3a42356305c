import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { LiveEvent } from '../contracts/http.js'

export type Connection = 'connecting' | 'live' | 'reconnecting'

/** A change brings several events at once: their queries are asked again together. */
const gatherMs = 200

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The keys of every query that an event may have changed. */
function touchedBy(event: LiveEvent): readonly (readonly string[])[] {
  return [
    ['hud'],
    ['events'],
    ...(event.proposal_id === undefined ? [] : [['proposals'], ['proposal', event.proposal_id]]),
    ...(event.asset_id === undefined ? [] : [['assets'], ['asset', event.asset_id]]),
  ]
}

function listen(queries: QueryClient, setConnection: (connection: Connection) => void) {
  const waiting = new Map<string, readonly string[]>()
  let timer: number | undefined
  const refresh = () => {
    timer = undefined
    for (const queryKey of waiting.values()) void queries.invalidateQueries({ queryKey })
    waiting.clear()
  }
  const receive = (message: MessageEvent<unknown>) => {
    const parsed = LiveEvent.safeParse(parseJson(String(message.data)))
    if (!parsed.success) return
    for (const key of touchedBy(parsed.data)) waiting.set(key.join(' '), key)
    timer ??= window.setTimeout(refresh, gatherMs)
  }
  const refreshAll = () => void queries.invalidateQueries()
  let wasOpen = false
  const source = new EventSource('/v1/live')
  source.onopen = () => {
    setConnection('live')
    // What happened while the connection was away is not sent again to every browser.
    if (wasOpen) refreshAll()
    wasOpen = true
  }
  source.onerror = () => setConnection('reconnecting')
  // The service cannot go on from the last event that this browser names.
  source.addEventListener('reset', refreshAll)
  source.onmessage = receive
  return () => {
    source.close()
    window.clearTimeout(timer)
  }
}

/** Keeps what is shown current, from the one stream of live events. */
export function useLive(): Connection {
  const queries = useQueryClient()
  const [connection, setConnection] = useState<Connection>('connecting')
  useEffect(() => listen(queries, setConnection), [queries])
  return connection
}
