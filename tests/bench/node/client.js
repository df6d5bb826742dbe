// One process with a library cache that is measured: `client.js REDIS_URL`.
//
// bentocache with an L1 in this process, Redis behind it and Redis' channels as the
// backplane. Reads a line "WHAT COUNT" at a time, does it so often, and answers with
// a line of nanoseconds: durations, or for "delete" and "seen" moments of the
// monotonic clock, which all processes of a machine share. Every value is looked at.
// It judges nothing: the harness in Rust does.

import { createInterface } from 'node:readline'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'

const { hostname: host, port } = new URL(process.argv[2])
const connection = { host, port: Number(port) }
const VALUE = '7'.repeat(1024)
const KEY = 'user/42'
let moments = []
let wake = () => {}

const store = bentostore()
  .useL1Layer(memoryDriver({ maxSize: '64mb' }))
  .useL2Layer(redisDriver({ connection }))
  .useBus(redisBusDriver({ connection }))
const cache = new BentoCache({ default: 'one', stores: { one: store } })
cache.on('bus:message:received', () => {
  moments.push(process.hrtime.bigint())
  wake()
})

function must(value) {
  if (value !== VALUE) throw new Error(`not the value: ${value}`)
}

async function each(count, call) {
  const times = []
  for (let at = 0; at < count; at++) {
    const begin = process.hrtime.bigint()
    const value = await call(at)
    times.push(process.hrtime.bigint() - begin)
    must(value)
  }
  return times
}

let round = 0
const measures = {
  // Hits of L1.
  async get(count) {
    await cache.set({ key: KEY, value: VALUE })
    return each(count, () => cache.get({ key: KEY }))
  },
  // Stores what another process then reads as a hit of Redis alone.
  async set(count) {
    round += 1
    return each(count, async (at) => {
      await cache.set({ key: `far/${round}/${at}`, value: VALUE })
      return VALUE
    })
  },
  async far(count) {
    round += 1
    return each(count, (at) => cache.get({ key: `far/${round}/${at}` }))
  },
  // When each deletion was asked for.
  async delete(count) {
    const begins = []
    for (let at = 0; at < count; at++) {
      begins.push(process.hrtime.bigint())
      await cache.delete({ key: KEY })
      // The next one may not overtake it.
      await new Promise((done) => setTimeout(done, 1))
    }
    return begins
  },
  // When each was applied here.
  async seen(count) {
    while (moments.length < count) await new Promise((done) => (wake = done))
    const seen = moments.slice(0, count)
    moments = moments.slice(count)
    return seen
  },
  // Forgets what was seen so far.
  async forget() {
    moments = []
    return []
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [what, count] = line.split(' ')
  console.log((await measures[what](Number(count))).join(' '))
}
process.exit(0)
