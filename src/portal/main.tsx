import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import * as z from 'zod'
import { ProblemError } from './api.js'
import './portal.css'
import { makeRouter } from './routes.js'

// Compiled validators need eval, which the content security policy rightly refuses.
z.config({ jitless: true })

const retriesMax = 2
const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) =>
        failures < retriesMax && !(error instanceof ProblemError && error.problem.status < 500),
    },
  },
})
const router = makeRouter()

const place = document.getElementById('portal')
if (place === null) throw new Error('index.html has no element with the id portal')
createRoot(place).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
)
