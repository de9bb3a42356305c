import * as Radix from '@radix-ui/react-dialog'
import type { ReactNode } from 'react'

/**
 * A modal dialog. Radix's own overlay is not used: it writes a style element, which the content
 * security policy refuses; the backdrop of the style sheet stands in its place.
 */
export function Dialog({
  open,
  onOpenChange,
  title,
  description,
  trigger,
  children,
}: {
  readonly open: boolean
  readonly onOpenChange: (open: boolean) => void
  readonly title: string
  readonly description: string
  readonly trigger: ReactNode
  readonly children: ReactNode
}) {
  return (
    <Radix.Root open={open} onOpenChange={onOpenChange}>
      <Radix.Trigger asChild>{trigger}</Radix.Trigger>
      <Radix.Portal>
        <div className="backdrop" aria-hidden="true" />
        <Radix.Content className="dialog">
          <Radix.Title className="dialog-title">{title}</Radix.Title>
          <Radix.Description className="dialog-lead">{description}</Radix.Description>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}
