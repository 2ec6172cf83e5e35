// A js-libp2p peer against a gateway: no way in without encryption or a ticket, and with one the readings, until
// the right is taken away.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { gateway } from '../gateway.mjs'
import { check, until, within } from '../processes.mjs'
import { peer, unencrypted } from './peer.mjs'
import { descriptor, frame, frames, reading, ticket } from './wire.mjs'

const enrolProtocol = '/peerbee/enrol/1.0.0'
const subProtocol = '/peerbee/sub/1.0.0'

// offered asks multistream-select for a protocol on a raw connection and gives the answer.
async function offered (address, protocol) {
  const [host, port] = address.getComponents().map(c => c.value)
  const socket = connect(Number(port), host)
  const line = text => Buffer.concat([Buffer.from([text.length + 1]), Buffer.from(text + '\n')])
  socket.write(Buffer.concat([line('/multistream/1.0.0'), line(protocol)]))
  let got = Buffer.alloc(0)
  const answers = []
  for await (const chunk of socket) {
    got = Buffer.concat([got, chunk])
    while (got.length > 0 && got.length > got[0]) {
      answers.push(got.subarray(1, got[0]).toString())
      got = got.subarray(got[0] + 1)
    }
    if (answers.length >= 2) break
  }
  socket.destroy()
  assert.equal(answers[0], '/multistream/1.0.0')
  return answers[1]
}

async function noPlaintext (address) {
  for (const protocol of ['/plaintext/2.0.0', '/plaintext/1.0.0', '/secio/1.0.0', '/yamux/1.0.0', '/mplex/6.7.0', '/ipfs/id/1.0.0', subProtocol]) {
    assert.equal(await within(`an answer about ${protocol}`, offered(address, protocol)), 'na', `${protocol} without encryption`)
  }
  assert.equal(await within('an answer about Noise', offered(address, '/noise')), '/noise')
  const naked = await unencrypted()
  await assert.rejects(naked.dial(address, { signal: AbortSignal.timeout(5000) }), 'a connection without encryption')
  await naked.stop()
}

async function met (js, address) {
  const connection = await within('a connection', js.dial(address))
  assert.equal(connection.encryption, '/noise')
  assert.equal(connection.multiplexer, '/yamux/1.0.0')
  const known = await within('identify', js.services.identify.identify(connection))
  assert.ok(known.protocols.includes(enrolProtocol) && known.protocols.includes(subProtocol), `identify lists ${known.protocols}`)
  const ms = await within('a ping', js.services.ping.ping(address))
  assert.ok(ms >= 0)
  return known.agentVersion
}

// redeemed gives the gateway's answer to a ticket.
async function redeemed (js, address, { id, secret }) {
  const stream = await js.dialProtocol(address, enrolProtocol)
  stream.send(frame('redeem', [[1, id], [2, secret]]))
  const { value } = await within('the answer to a ticket', frames(stream).next())
  return value
}

// subscribed follows readings until the stream ends, and keeps everything it was told.
class Subscription {
  told = []
  #wake = () => {}

  static async to (js, address) {
    const s = new Subscription()
    s.stream = await js.dialProtocol(address, subProtocol)
    s.stream.send(frame('hello', [[1, 1], [8, true]]))
    s.ended = s.#read()
    return s
  }

  async #read () {
    try {
      for await (const f of frames(this.stream)) {
        this.told.push(f)
        this.#wake()
      }
    } catch { /* a stream that is reset has ended too */ }
    this.endedAt = performance.now()
    this.#wake()
  }

  // first gives the first frame that fits, now or later.
  async first (fits) {
    for (;;) {
      const found = this.told.find(fits)
      if (found || this.endedAt) return found
      await new Promise(resolve => { this.#wake = resolve })
    }
  }

  // value waits for a reading in which the device says what it was told to.
  async value (device, property, value) {
    const found = await within(`${property} ${value} of ${device}`, this.first(({ kind, fields }) =>
      kind === 'data' && fields.get(1) === device && reading(fields.get(4)).values[property] === value))
    return reading(found.fields.get(4))
  }
}

async function measured (subscription, { stick, devices }, celsius) {
  const [{ name, ieee }] = devices
  await stick.do('set', { sensor: name, property: 'temperature', value: celsius })
  const got = await subscription.value(ieee, 'temperature', celsius)
  const described = subscription.told.filter(f => f.kind === 'desc').map(f => descriptor(f.fields.get(2)))
  const d = described.find(d => d.hash === got.desc)
  assert.ok(d, 'the descriptor comes before the reading that refers to it')
  assert.equal(d.name, name)
  assert.equal(d.device, ieee)
  assert.equal(d.properties.temperature.unit, 'Cel')
  return `${got.values.temperature} ${d.properties.temperature.unit}`
}

// stranger is a peer nobody enrolled: it is shown out, and told nothing.
async function stranger (address, open) {
  const js = await peer()
  const told = []
  try {
    const connection = await js.dial(address, { signal: AbortSignal.timeout(5000) })
    const stream = await connection.newStream(subProtocol, { signal: AbortSignal.timeout(3000) })
    stream.send(frame('hello', [[1, 1], [8, true]]))
    const listening = (async () => { for await (const f of frames(stream)) told.push(f.kind) })().catch(() => {})
    await Promise.race([listening, sleep(1000)])
  } catch { /* shut out before it could ask */ }
  assert.deepEqual(told.filter(kind => kind !== 'end'), [], 'what a stranger is told')
  if (!open) assert.equal(js.getConnections().length, 0, 'connections a stranger keeps')
  await js.stop()
}

// revoked takes the right away and gives how long after that the stream and the connection went on, in milliseconds.
async function revoked (subscription, js, cli) {
  const begun = performance.now()
  await cli('access', 'revoke', 'a js peer')
  await within('the stream to end', subscription.ended)
  await until('the connection to end', () => js.getConnections().length === 0)
  const times = [subscription.endedAt - begun, performance.now() - begun].map(Math.round)
  assert.ok(times[0] < 1000, `the stream went on for ${times[0]} ms`)
  const told = subscription.told.at(-1)
  assert.equal(told.kind, 'end')
  assert.equal(told.fields.get(1), 'revoked')
  return times
}

await check('jspeer', async bench => {
  const home = await gateway(bench, ['temperature', 'pressure'])
  const { addresses, peer_id: gatewayID } = home.status.p2p
  const address = multiaddr(`${addresses.find(a => a.includes('127.0.0.1'))}/p2p/${gatewayID}`)
  await noPlaintext(address)
  await stranger(address, false)

  const text = await home.cli('share', home.devices[0].name, '--label', 'a js peer', '--no-qr')
  const invitation = ticket(text)
  const invited = multiaddr(invitation.addresses.find(a => multiaddr(a).toString().includes('127.0.0.1')))
  assert.equal(invited.toString(), address.toString())
  await stranger(address, true)

  const js = await peer()
  const agent = await met(js, address)
  const wrong = Uint8Array.from(invitation.secret, b => b ^ 1)
  assert.equal((await redeemed(js, address, { ...invitation, secret: wrong })).kind, 'refused')
  const welcome = await redeemed(js, address, invitation)
  assert.equal(welcome.kind, 'welcome')
  assert.equal(welcome.fields.get(1), 'attic')

  const subscription = await Subscription.to(js, address)
  assert.equal((await within('the first frame', subscription.first(() => true))).kind, 'ack')
  const warm = await measured(subscription, home, 21.37)
  const cold = await measured(subscription, home, -4.25)
  await home.stick.do('set', { sensor: 'pressure-1', property: 'pressure', value: 987 })
  await measured(subscription, home, 19.5)
  const devices = new Set(subscription.told.filter(f => f.kind === 'data' || f.kind === 'snapshot').map(f => f.fields.get(1)))
  assert.deepEqual([...devices], [home.devices[0].ieee], 'only the shared device is shown')

  await stranger(address, false)
  const [stream, connection] = await revoked(subscription, js, home.cli)
  await js.stop()
  home.stick.close()
  return `js-libp2p found no plaintext, met ${agent} over TCP, Noise and Yamux, redeemed a ticket, read ${warm} and ${cold}, ` +
    `saw nothing that was not shared; a stranger was shown out; the stream ended ${stream} ms after \`peerbee access revoke\` began, the connection ${connection} ms`
})
