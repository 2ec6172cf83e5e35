// The ledger's formats, written from docs/protocol/ledger.md alone: bundles, records, inclusion proofs, checkpoints.
import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { decode } from 'cbor2'

const options = { preferMap: true }
const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest()

export const externalAAD = Buffer.from('peerbee/ledger/v1')

// records takes a bundle apart into its hops: the record's bytes, what it says, and its inclusion proof.
export function records (bundle) {
  const [name, hops] = decode(bundle, options)
  assert.equal(name, 'peerbee/bundle/v1')
  return hops.map(hop => {
    const leaf = Buffer.from(hop.get(1))
    const [header, unprotected, payload] = decode(leaf, options)
    assert.equal(unprotected.size, 0)
    const fields = decode(payload, options)
    return { leaf, id: sha256(Buffer.of(0), leaf), kid: Buffer.from(decode(header, options).get(4)), type: fields.get(2), aid: fields.get(6), body: fields.get(8), proof: hop.get(4)[0], opening: hop.get(5) }
  })
}

export const publicKey = raw => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' })

// keys gives the Ed25519 keys the records themselves name, by key id: each owner's and each bound gateway's log's.
export function keys (all) {
  const found = new Map()
  for (const { type, body } of all) {
    const raw = { 1: body.get(1), 3: body.get(2) }[type]
    if (raw) found.set(sha256(raw).subarray(0, 8).toString('hex'), Buffer.from(raw))
  }
  return found
}

// included checks a record against the signed checkpoint of its proof (RFC 9162 section 2.1.3.2, C2SP signed-note).
export function included (record, logKey) {
  const [head, ...rest] = record.proof.split('\n\n')
  const [format, index, ...path] = head.split('\n')
  assert.equal(format, 'c2sp.org/tlog-proof@v1')
  const [text, signatures] = [rest[0] + '\n', rest[1]]
  const [origin, size, root] = text.split('\n')
  let fn = Number(index.replace('index ', ''))
  let sn = Number(size) - 1
  assert.ok(fn <= sn)
  let r = record.id
  for (const p of path.map(line => Buffer.from(line, 'base64'))) {
    assert.notEqual(sn, 0)
    if (fn % 2 === 1 || fn === sn) {
      r = sha256(Buffer.of(1), p, r)
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)]
    } else {
      r = sha256(Buffer.of(1), r, p)
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
  }
  assert.equal(sn, 0)
  assert.equal(r.toString('base64'), root, 'the root of the checkpoint')
  const line = signatures.split('\n').find(l => l.startsWith(`— ${origin} `))
  const signature = Buffer.from(line.split(' ')[2], 'base64')
  assert.deepEqual(signature.subarray(0, 4), sha256(origin, '\n', Buffer.of(1), logKey).subarray(0, 4))
  assert.ok(verify(null, Buffer.from(text), publicKey(logKey), signature.subarray(4)), 'the signature of the checkpoint')
  return origin
}
