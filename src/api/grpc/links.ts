import type { RecordedEvent } from '../../ledger/event-store.js'
import { mayDo, operationOn } from '../../ledger/stream-access.js'
import { checkStream, describedStream } from '../../ledger/stream-name.js'
import type { Identity } from '../../runtime/identities.js'
import type { LedgerView } from '../../runtime/ledger-view.js'
import { eventResponse, linkResponse } from './stored-messages.js'
import type { ReadResponse } from './stream-messages.js'

/** The type of an event that stands for one of another stream; its data is `<revision>@<stream>`. */
const linkType = '$>'
const linkForm = /^(\d{1,15})@(.+)$/s

const isLink = ({ leaf }: RecordedEvent): boolean =>
  leaf.type === linkType && leaf.writer === 'client'

/** An event as it is shown to who wants links resolved; no event when the link leads to nothing that is shown. */
export interface Resolved {
  readonly event: RecordedEvent | undefined
  readonly link: RecordedEvent
}

/** Where a link leads; undefined for what is no link. */
export function targetOf(
  link: RecordedEvent,
): { readonly stream: string; readonly revision: number } | undefined {
  if (!isLink(link) || link.data === null) return undefined
  const [, revision, stream] = linkForm.exec(Buffer.from(link.data.bytes).toString('utf8')) ?? []
  return stream === undefined ? undefined : { stream, revision: Number(revision) }
}

/** Follows links by one step, within the project of who reads, to streams that they may read. */
const linkResolver =
  (ledger: LedgerView, caller: Identity) =>
  async (link: RecordedEvent): Promise<Resolved> => {
    const target = targetOf(link)
    if (target === undefined) return { event: undefined, link }
    const { project } = caller
    const { stream, revision } = target
    if (!isStream(project, stream)) return { event: undefined, link }
    const described = await ledger.streamMetadata(project, describedStream(stream))
    if (!mayDo(described?.metadata, operationOn(stream, 'read'), caller))
      return { event: undefined, link }
    for await (const event of ledger.readStream({ project, stream, from: revision, max: 1 }))
      if (Number(event.leaf.revision) === revision) return { event, link }
    return { event: undefined, link }
  }

/** How events are told to a reader: links with what they lead to where that is wanted. */
export function answering(
  ledger: LedgerView,
  caller: Identity,
  wanted: { readonly structured: boolean; readonly resolveLinks: boolean },
): (event: RecordedEvent) => ReadResponse | Promise<ReadResponse> {
  const { structured, resolveLinks } = wanted
  const plain = (event: RecordedEvent) => eventResponse(event, structured)
  if (!resolveLinks) return plain
  const resolve = linkResolver(ledger, caller)
  return (event) =>
    isLink(event)
      ? resolve(event).then((resolved) => linkResponse(resolved, structured))
      : plain(event)
}

/** What a client writes into a link need not be the name of a stream. */
function isStream(project: string, stream: string): boolean {
  try {
    checkStream(project, stream)
    return true
  } catch {
    return false
  }
}
