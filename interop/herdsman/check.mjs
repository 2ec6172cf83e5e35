// zigbee-herdsman, the driver of zigbee2mqtt, on the simulated stick: it forms a network, lets a sensor join,
// interviews it, receives what it reports, and resumes the network after a restart.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import herdsman from 'zigbee-herdsman'
import { Stick, check, within } from '../processes.mjs'

const { Controller, setLogger } = herdsman

const network = {
  panID: 0x1b3e,
  extendedPanID: [0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04],
  channelList: [20],
  networkKey: [1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 13]
}

const log = process.env.DEBUG ? console : { debug () {}, info () {}, warning () {}, error: console.error }
setLogger({ debug: m => log.debug(typeof m === 'function' ? m() : m), info: m => log.info(m), warning: m => (log.warning ?? log.warn)(m), error: m => log.error(m) })

function controller (bench) {
  return new Controller({
    network,
    transport: { path: bench.path('port'), adapter: 'zstack', baudRate: 115200, rtscts: false },
    databasePath: bench.path('devices.db'),
    databaseBackupPath: bench.path('devices.db.backup'),
    backupPath: bench.path('coordinator.json'),
    adapter: { disableLED: false },
    acceptJoiningDeviceHandler: async () => true
  })
}

// interviewed lets a sensor join and waits until the controller knows all about it.
async function interviewed (zigbee, stick, sensor) {
  const done = new Promise((resolve, reject) => zigbee.on('deviceInterview', ({ status, device }) => {
    if (status === 'successful') resolve(device)
    if (status === 'failed') reject(new Error(`the interview of ${device.ieeeAddr} failed`))
  }))
  await stick.do('join', { sensor })
  const device = await within(`the interview of ${sensor}`, done, 30000)
  zigbee.removeAllListeners('deviceInterview')
  return device
}

// reported gives the value of the report that comes after a sensor was told what to measure.
async function reported (zigbee, stick, celsius) {
  const report = new Promise(resolve => zigbee.on('message', m => {
    if (m.type === 'attributeReport' && m.cluster === 'msTemperatureMeasurement') resolve(m.data.measuredValue)
  }))
  await stick.do('set', { sensor: 'temperature-1', property: 'temperature', value: celsius })
  const value = await within('a temperature report', report)
  zigbee.removeAllListeners('message')
  assert.equal(value, Math.round(celsius * 100))
  return value / 100
}

async function alarmed (zigbee, stick) {
  const alarm = new Promise(resolve => zigbee.on('message', m => {
    if (m.type === 'commandStatusChangeNotification') resolve(m.data.zonestatus)
  }))
  await stick.do('set', { sensor: 'water-1', property: 'water_leak', value: true })
  assert.equal(await within('the alarm of an IAS zone', alarm) & 1, 1)
  zigbee.removeAllListeners('message')
}

// stopped ends a controller. Its backup is written before that, as it does by itself once a day.
async function stopped (zigbee, bench) {
  await zigbee.backup()
  await zigbee.stop()
  return JSON.parse(readFileSync(bench.path('coordinator.json'), 'utf8'))
}

async function backedUp (backup, devices) {
  assert.equal(backup.metadata.format, 'zigpy/open-coordinator-backup')
  assert.equal(backup.network_key.key, Buffer.from(network.networkKey).toString('hex'))
  assert.equal(backup.pan_id, network.panID.toString(16))
  assert.equal(backup.extended_pan_id, Buffer.from(network.extendedPanID).toString('hex'))
  assert.equal(backup.channel, network.channelList[0])
  for (const device of devices) {
    const known = backup.devices.find(d => `0x${d.ieee_address}` === device.ieeeAddr)
    assert.ok(known, `the backup lacks ${device.ieeeAddr}`)
    assert.equal(parseInt(known.nwk_address, 16), device.networkAddress)
    assert.match(known.link_key.key, /^[0-9a-f]{32}$/)
  }
}

async function isOurs (zigbee) {
  const p = await zigbee.getNetworkParameters()
  assert.equal(p.panID, network.panID)
  assert.equal(p.channel, network.channelList[0])
}

await check('herdsman', async bench => {
  const sim = (...more) => bench.start('stick', ['sim', '--pty', bench.path('port'), '--control', bench.path('control'), '--sensors', 'temperature,water', '--manual-join', ...more])
  const first = sim('--seed', '1')
  let stick = await Stick.at(bench.path('control'))

  let zigbee = controller(bench)
  assert.equal(await zigbee.start(), 'reset', 'a blank stick is formed')
  await isOurs(zigbee)
  await zigbee.permitJoin(60)
  const sensor = await interviewed(zigbee, stick, 'temperature-1')
  assert.equal(sensor.modelID, 'SIM-TH1')
  assert.equal(sensor.manufacturerName, 'peerbee-sim')
  const water = await interviewed(zigbee, stick, 'water-1')
  assert.equal(water.modelID, 'SIM-W1')
  await zigbee.permitJoin(0)

  const endpoint = sensor.getEndpoint(1)
  await endpoint.bind('msTemperatureMeasurement', zigbee.getDevicesByType('Coordinator')[0].getEndpoint(1))
  await endpoint.configureReporting('msTemperatureMeasurement', [
    { attribute: 'measuredValue', minimumReportInterval: 1, maximumReportInterval: 60, reportableChange: 10 }
  ])
  const warm = await reported(zigbee, stick, 23.45)
  await alarmed(zigbee, stick)
  await backedUp(await stopped(zigbee, bench), [sensor, water])

  zigbee = controller(bench)
  assert.equal(await zigbee.start(), 'resumed', 'a network that exists is not formed anew')
  await isOurs(zigbee)
  assert.equal(zigbee.getDevices().length, 3)
  const cold = await reported(zigbee, stick, -7.5)
  await zigbee.stop()

  // The stick breaks and is replaced by another one, blank and with an address of its own.
  stick.close()
  await bench.stop(first)
  sim('--seed', '2')
  stick = await Stick.at(bench.path('control'))
  zigbee = controller(bench)
  assert.equal(await zigbee.start(), 'restored', 'a blank stick takes over the network of the backup')
  await isOurs(zigbee)
  await backedUp(await stopped(zigbee, bench), [sensor, water])
  stick.close()

  return `zigbee-herdsman formed PAN 0x${network.panID.toString(16)} on channel ${network.channelList[0]}, interviewed ${sensor.manufacturerName} ${sensor.modelID} and an IAS zone, ` +
    `received ${warm} and ${cold} °C and an alarm, backed up key and devices, resumed, and restored them to a blank stick`
})
