import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import {
  change,
  operation,
  people,
  propose,
  proposalOf,
  reached,
  runningWeb,
} from '../support/change.js'
import { type Product, startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'

const chromiumPath = '/usr/bin/chromium'
const isMissing = !existsSync(chromiumPath) && process.env['CI'] !== 'true'
const skip = isMissing ? `there is no ${chromiumPath}` : requireTemporal()

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Opens a window and collects everything that the browser complains about in it. */
async function openWindow(browser: Browser, width: number, scheme: 'light' | 'dark') {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
  })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`${page.url()} ${error.message}`))
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    complaints.push(`${page.url()} ${message.text()} ${message.location().url}`)
  })
  return { context, page, complaints }
}

// Code for the page is text: this side of the test knows no document.
const widthsOf = (page: Page) =>
  page.evaluate<{ content: number; window: number }>(
    '({ content: document.documentElement.scrollWidth, window: document.documentElement.clientWidth })',
  )
const forgetKey = `localStorage.setItem(
  'fractalops.pinned-key',
  localStorage.getItem('fractalops.pinned-key').replace(/[+][0-9a-f]{8}[+]/, '+00000000+'),
)`

async function fits(t: Test, page: Page, name: string) {
  const { content, window } = await widthsOf(page)
  t.ok(content <= window, `${name} is ${content} px wide in a window of ${window} px`)
}

/** Goes to a page as a person would find it: loaded, with nothing still being fetched. */
async function visit(page: Page, url: string) {
  await page.goto(url)
  await page.locator('h1').first().waitFor()
  await page.locator('.waiting').first().waitFor({ state: 'detached' })
}

const signInLink = async (product: Product, token: string) => {
  const answer = await product.request<{ sign_in_url: string }>('POST', '/v1/session/links', {
    token,
  })
  return answer.body.sign_in_url
}

t.test('the portal', { skip, timeout: 240_000 }, async (t) => {
  const product = await startProduct(t)
  const browser = await chromium.launch({ executablePath: chromiumPath, args: flags })
  t.teardown(() => browser.close())
  const who = await people(product)
  await runningWeb(product, who, 'web-01')
  const configure = operation('web-01', 'configure', { configuration: '{"greeting":"good day"}' })
  const done = await change(product, who, configure)
  t.equal(done.status, 'completed')

  await t.test('explains how to sign in, and signs in by a link that works once', async (t) => {
    const { context, page, complaints } = await openWindow(browser, 400, 'light')
    await page.goto(product.url)
    await page.getByRole('heading', { name: /sign in/i }).waitFor()
    await fits(t, page, 'the sign-in page')
    const others = complaints.filter((line) => !line.includes('/v1/session'))
    t.strictSame(others, [], 'the question who is signed in is the only one refused')

    const link = await signInLink(product, who.approver)
    await page.goto(link)
    await page.getByRole('heading', { name: 'Home' }).waitFor()
    const again = await fetch(link, { redirect: 'manual' })
    t.equal(again.status, 401, 'the link is used up')
    await context.close()
  })

  for (const [width, scheme] of [
    [1280, 'light'],
    [400, 'light'],
    [1280, 'dark'],
    [400, 'dark'],
  ] as const) {
    await t.test(`shows every page at ${width} px, ${scheme}`, async (t) => {
      const { context, page, complaints } = await openWindow(browser, width, scheme)
      await page.goto(await signInLink(product, who.approver))
      for (const path of [
        '/',
        '/proposals',
        '/proposals?status=completed&asset=web-01',
        '/proposals/new?asset=web-01&operation=scale',
        '/proposals/new?operation=register',
        `/proposals/${done.id}`,
        `/proposals/${done.id}?tab=evidence`,
        `/proposals/${done.id}?tab=timeline`,
        `/proposals/${done.id}?tab=proof`,
        '/assets',
        '/assets/web-01',
        '/assets/web-01?at=position%3A40',
        '/events',
        '/events?type=asset.mutated',
      ]) {
        await visit(page, product.url + path)
        // One after the other: each click takes one out of those that are closed.
        const closed = page.locator('details:not([open]) > summary')
        for (let left = await closed.count(); left > 0; left -= 1) await closed.first().click()
        t.equal(await closed.count(), 0, `everything of ${path} is open`)
        await fits(t, page, path)
      }
      t.strictSame(complaints, [], 'the browser complains about nothing')
      await context.close()
    })
  }

  await t.test('verifies the proof of any event of a change', async (t) => {
    const { context, page, complaints } = await openWindow(browser, 1280, 'light')
    await page.goto(await signInLink(product, who.approver))
    const mutated = done.timeline.find((entry) => entry.type === 'asset.mutated')
    for (const event of [mutated, done.timeline[0]]) {
      await visit(page, `${product.url}/proposals/${done.id}?tab=proof&event=${event?.event_id}`)
      await page.getByText('Verified in this browser').waitFor()
      t.ok(
        await page
          .getByText(event?.leaf_hash ?? 'no event')
          .first()
          .isVisible(),
        'its leaf hash',
      )
    }
    t.equal(await page.locator('.steps > li').count(), 7, 'every step of the proof is shown')
    t.strictSame(complaints, [])

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download proof file' }).click(),
    ])
    t.match(download.suggestedFilename(), /\.proof\.json$/)

    await page.evaluate(forgetKey)
    await page.reload()
    await page.getByText('The key of this ledger has changed').waitFor()
    t.ok(await page.getByText('Signed by a key that is not pinned').isVisible())
    await context.close()
  })

  await t.test('approves exactly what it shows, and follows it live to its end', async (t) => {
    const { context, page, complaints } = await openWindow(browser, 400, 'light')
    await page.goto(await signInLink(product, who.approver))
    const next = operation('web-01', 'configure', { configuration: '{"greeting":"evening"}' })
    const submitted = await propose(product, who.proposer, next)
    const waiting = await reached(product, submitted.id, ['awaiting-approval'])
    await visit(page, `${product.url}/proposals/${submitted.id}`)

    await page.getByRole('button', { name: 'Approve' }).click()
    const dialog = page.getByRole('dialog')
    t.ok(await dialog.getByText(waiting.digest).isVisible(), 'the digest is what is decided on')
    await fits(t, page, 'the dialog')
    await dialog.getByRole('button', { name: 'Approve' }).click()

    await page.locator('h1 .chip', { hasText: 'Completed' }).waitFor({ timeout: 60_000 })
    const approved = await proposalOf(product, submitted.id)
    t.strictSame(
      approved.approvals.map((approval) => approval.proposal_digest),
      [waiting.digest],
    )
    t.strictSame(complaints, [])
    await context.close()
  })

  await t.test(
    'simulates and proposes from the form, and shows problems at their field',
    async (t) => {
      const { context, page } = await openWindow(browser, 1280, 'light')
      await page.goto(await signInLink(product, who.proposer))
      await visit(page, `${product.url}/proposals/new?operation=scale`)
      await page.getByLabel('Asset', { exact: true }).fill('no-such-asset')
      await page.getByLabel('Replicas').fill('99')
      await page.getByRole('button', { name: 'Simulate' }).click()
      t.ok(
        await page.locator('.field-wrong', { hasText: 'Replicas' }).isVisible(),
        'of the contract',
      )
      t.ok(
        await page.locator('.field-wrong', { hasText: 'Reason' }).isVisible(),
        'of a missing one',
      )

      await page.getByLabel('Replicas').fill('2')
      await page.getByLabel('Reason').fill('the sale begins')
      await page.getByRole('button', { name: 'Simulate' }).click()
      await page.locator('.note-bad').waitFor()
      t.match(await page.locator('.note-bad').innerText(), /ASSET_UNKNOWN/)

      await page.getByLabel('Asset', { exact: true }).fill('web-01')
      await page.getByRole('button', { name: 'Simulate' }).click()
      await page.locator('.decision').waitFor()
      t.match(await page.locator('.diff').innerText(), /desired\/replicas/, 'the effect is shown')
      await page.getByRole('button', { name: 'Submit proposal' }).click()
      await page.getByRole('heading', { name: /Scale web-01/ }).waitFor()
      t.match(new URL(page.url()).pathname, /^\/proposals\/[0-9a-f-]{36}$/)
      await context.close()
    },
  )
})
