// A gateway on a simulated stick: a daemon of its own with a network, and sensors that were paired with it.
import { writeFileSync } from 'node:fs'
import { Stick, until, within } from './processes.mjs'

// gateway starts both and pairs the sensors, each named as the simulator names it: "temperature-1".
export async function gateway (bench, kinds) {
  bench.start('stick', ['sim', '--pty', bench.path('port'), '--control', bench.path('control'), '--sensors', kinds.join(','), '--manual-join', '--interval', '1h'])
  const stick = await Stick.at(bench.path('control'))
  writeFileSync(bench.path('peerbee.toml'), `
[gateway]
name = "attic"
state_dir = "${bench.path('state')}"
[zigbee]
port = "${bench.path('port')}"
[p2p]
mode = "lan"
listen = ["/ip4/127.0.0.1/tcp/0"]
mdns = false
[api]
socket = "${bench.path('api')}"
`)
  bench.start('daemon', ['daemon', '--config', bench.path('peerbee.toml')])
  const cli = (...args) => bench.call(['--socket', bench.path('api'), ...args])
  const ask = async (...args) => JSON.parse(await cli(...args, '-o', 'json'))
  await until('the daemon to ask what to do with a blank stick', async () => {
    try { return (await ask('status')).zigbee.phase === 'needs-decision' } catch { return false }
  })
  await cli('network', 'form')
  const pairing = bench.start('pair', ['--socket', bench.path('api'), 'pair', '--for', '60', '-o', 'jsonl'])
  const paired = pairInto(pairing)
  for (const { name } of (await stick.do('sensors')).sensors) {
    await until(`${name} to join`, async () => {
      try { return await stick.do('join', { sensor: name }) } catch (err) {
        if (/open it/.test(err.message)) return false
        throw err
      }
    })
  }
  const devices = await Promise.all((await stick.do('sensors')).sensors.map(async ({ name, ieee }) => {
    await within(`${name} to be interviewed`, paired(ieee))
    await cli('devices', 'rename', ieee, name)
    return { name, ieee }
  }))
  await bench.stop(pairing)
  return { stick, cli, ask, devices, status: await ask('status') }
}

// pairInto waits for interviewed devices in what `peerbee pair` prints.
function pairInto (pairing) {
  const done = new Set()
  const waiting = new Map()
  pairing.lines.on('line', line => {
    const { device } = JSON.parse(line)
    if (device?.interview !== 'done') return
    done.add(device.id)
    waiting.get(device.id)?.()
  })
  return ieee => done.has(ieee) ? Promise.resolve() : new Promise(resolve => waiting.set(ieee, resolve))
}
