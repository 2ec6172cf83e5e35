// peerbee's wire formats, written from docs/protocol alone: tickets, frames and readings.
import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import { Tag, cdeEncodeOptions, decode, encode } from 'cbor2'

// A decimal fraction is a quotient of two exact numbers (RFC 8949 section 3.4.4).
Tag.registerDecoder(4, ({ contents: [exponent, mantissa] }) => Number(mantissa) / 10 ** -Number(exponent))

const options = { preferMap: true }

// ticket reads a ticket's text: base32 of a CBOR map and four bytes of SHA-256.
export function ticket (text) {
  const raw = base32(text.trim().replace(/^peerbee1/, ''))
  const [body, sum] = [raw.subarray(0, -4), raw.subarray(-4)]
  const expected = createHash('sha256').update('peerbee ticket 1\0').update(body).digest().subarray(0, 4)
  assert.deepEqual(Buffer.from(sum), expected, 'the checksum of the ticket')
  const fields = decode(body, options)
  const gateway = fields.get(1)
  // A multiaddr in binary, ended by its /p2p part: the code, and the peer ID as bytes with their length.
  const addresses = (fields.get(2) ?? []).map(a => Buffer.concat([a, Buffer.from([0xa5, 0x03, gateway.length]), gateway]))
  return { addresses, id: fields.get(3), secret: fields.get(4) }
}

function base32 (text) {
  const out = []
  let bits = 0
  let held = 0
  for (const letter of text) {
    const value = 'abcdefghijklmnopqrstuvwxyz234567'.indexOf(letter)
    assert.notEqual(value, -1, `${letter} is not base32`)
    held = (held << 5 | value) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out.push(held >> bits & 0xff)
    }
  }
  return Uint8Array.from(out)
}

export const kinds = { hello: 1, credit: 2, ack: 3, desc: 4, data: 5, snapshot: 6, gap: 7, heartbeat: 8, end: 9, redeem: 10, welcome: 11, refused: 12 }
const names = Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [kind, name]))

// frame is a length and the CBOR array [kind, fields].
export function frame (kind, fields) {
  const body = encode([kinds[kind], new Map(fields)], cdeEncodeOptions)
  const prefix = []
  for (let n = body.length; ; n >>= 7) {
    if (n < 0x80) {
      prefix.push(n)
      break
    }
    prefix.push(n & 0x7f | 0x80)
  }
  return Uint8Array.from([...prefix, ...body])
}

// frames takes the frames off a stream as they come.
export async function * frames (stream) {
  let held = new Uint8Array()
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk.subarray()])
    for (;;) {
      const [length, at] = prefix(held)
      if (at === 0 || held.length < at + length) break
      const [kind, fields] = decode(held.subarray(at, at + length), options)
      held = held.subarray(at + length)
      yield { kind: names[kind], fields }
    }
  }
}

// prefix gives a frame's length and where it begins, or 0 while there is not enough of it.
function prefix (bytes) {
  let length = 0
  for (let i = 0; i < Math.min(bytes.length, 3); i++) {
    length |= (bytes[i] & 0x7f) << (7 * i)
    if (bytes[i] < 0x80) return [length, i + 1]
  }
  return [0, 0]
}

const numbered = ['temperature', 'humidity', 'pressure', 'battery', 'battery_voltage', 'linkquality']

// reading decodes the body of a data or snapshot frame.
export function reading (bytes) {
  const [version, stream, epoch, seq, time, clock, desc, values] = decode(bytes, options)
  assert.equal(version, 1)
  return {
    device: Buffer.from(stream).toString('hex'),
    epoch,
    seq,
    time: new Date(time),
    clock,
    desc: Buffer.from(desc).toString('hex'),
    values: Object.fromEntries([...values].map(([name, value]) => [typeof name === 'number' ? numbered[name] ?? name : name, value]))
  }
}

// descriptor decodes what a desc frame carries, and checks the hash it is named by.
export function descriptor (bytes) {
  const [version, stream, name, manufacturer, model, properties] = decode(bytes, options)
  assert.equal(version, 1)
  return {
    hash: createHash('sha256').update(bytes).digest().subarray(0, 8).toString('hex'),
    device: Buffer.from(stream).toString('hex'),
    name,
    manufacturer,
    model,
    properties: Object.fromEntries(properties.map(([name, type, unit]) => [name, { type, unit }]))
  }
}
