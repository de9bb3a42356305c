import { lazy, Suspense, useState } from 'react'
import { Dialog } from './dialog.js'
import { Waiting } from './parts.js'

// The cryptography is fetched by those who check a proof.
const ProofPanel = lazy(async () => ({ default: (await import('./proof-panel.js')).ProofPanel }))

/** A button that proves one event where it is listed. */
export function ProofDialog({ event, title }: { readonly event: string; readonly title: string }) {
  const [open, setOpen] = useState(false)
  return (
    <Dialog
      open={open}
      onOpenChange={setOpen}
      title={`Proof of ${title}`}
      description="Fetched from the ledger and checked in this browser, step by step."
      trigger={
        <button type="button" className="button button-small">
          Prove it
        </button>
      }
    >
      <Suspense fallback={<Waiting rows={8} />}>
        <ProofPanel event={event} />
      </Suspense>
      <div className="dialog-foot">
        <button type="button" className="button" onClick={() => setOpen(false)}>
          Close
        </button>
      </div>
    </Dialog>
  )
}
