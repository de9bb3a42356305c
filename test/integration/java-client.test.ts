import t from 'tap'
import { foreignClient } from './shared/foreign-client.js'

foreignClient(t, 'java')
