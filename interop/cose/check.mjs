// A proof written by `peerbee ledger prove`, verified by @auth0/cose, cbor2 and node:crypto instead of peerbee.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { Sign1 } from '@auth0/cose'
import { gateway } from '../gateway.mjs'
import { check } from '../processes.mjs'
import { externalAAD, included, keys, publicKey, records } from './bundle.mjs'

const names = { 1: 'inception', 3: 'gateway-bind', 5: 'register', 10: 'release' }

const signed = (leaf, key) => Sign1.decode(leaf).verify(publicKey(key), { externalAAD })

// unprotected is where the empty map of unsigned headers stands: COSE signs it not, peerbee allows one spelling of it.
const unprotected = 15

// altered gives copies of a record, each with one bit of one signed byte turned.
function * altered (leaf) {
  for (let i = 0; i < leaf.length; i++) {
    if (i === unprotected) continue
    const copy = Buffer.from(leaf)
    copy[i] ^= 1 << (i % 8)
    yield copy
  }
}

await check('cose', async bench => {
  const home = await gateway(bench, ['temperature'])
  const [device] = home.devices
  const file = bench.path('device.proof')
  await home.cli('ledger', 'prove', device.name, '--reveal', '-f', file)
  home.stick.close()

  const all = records(readFileSync(file))
  const known = keys(all)
  const logKey = all.find(r => r.type === 3).body.get(2)
  let origin
  for (const record of all) {
    const key = known.get(record.kid.toString('hex'))
    assert.ok(key, `the key of the ${names[record.type]} record`)
    await signed(record.leaf, key)
    await assert.rejects(Sign1.decode(record.leaf).verify(publicKey(key)), 'without the ledger\'s additional data')
    origin = included(record, Buffer.from(logKey))
  }
  const register = all.find(r => r.type === 5)
  assert.equal(Buffer.from(register.opening.get(1)).toString('hex'), device.ieee)
  let refused = 0
  for (const copy of altered(register.leaf)) {
    await assert.rejects(async () => signed(copy, known.get(register.kid.toString('hex'))))
    refused++
  }

  // What the other libraries refuse peerbee refuses too, and what they pass over.
  const bundle = readFileSync(file)
  const at = bundle.indexOf(register.leaf)
  await bench.call(['ledger', 'verify', file])
  for (const i of [unprotected, register.leaf.length - 1]) {
    bundle[at + i] ^= 1
    writeFileSync(file, bundle)
    await assert.rejects(bench.call(['ledger', 'verify', file]), /NOT proved/)
    bundle[at + i] ^= 1
  }

  return `@auth0/cose and node:crypto verified ${all.length} records (${all.map(r => names[r.type]).join(', ')}) and their place under the checkpoint of ${origin}, ` +
    `and refused ${refused} altered copies`
})
