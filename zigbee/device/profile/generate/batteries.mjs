// Lists how models read a battery's charge off its voltage, observed from outside: for each curve the charge in
// percent at tenths of a volt, and the models it belongs to. The samples of a facts file are too coarse for it.
// Usage: node batteries.mjs > batteries.txt, beside the node_modules of names.mjs.
import {createRequire} from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const require = createRequire(path.resolve('x.js'));
const root = path.resolve('node_modules/zigbee-herdsman-converters');
const zhc = require(root + '/dist/index.js');
zhc.setLogger({debug() {}, info() {}, warning() {}, error() {}});
globalThis.setTimeout = () => ({unref() {}, ref() {}});
process.on('unhandledRejection', () => {});

const curves = new Map();
for (const f of fs.readdirSync(root + '/dist/devices').filter((f) => f.endsWith('.js')).sort()) {
  for (const raw of require(root + '/dist/devices/' + f).definitions ?? []) {
    let definition;
    try { definition = zhc.prepareDefinition(raw); } catch { continue; }
    const device = {ieeeAddr: '0x1', meta: {}, endpoints: [], save() {}, getEndpoint() { return this.endpoints[0]; }};
    device.endpoints.push({ID: 1, getDevice: () => device});
    const percent = (v) => {
      let found;
      for (const c of definition.fromZigbee) {
        if (String(c?.cluster) !== 'genPowerCfg') continue;
        try {
          const message = {data: {batteryVoltage: v}, type: 'attributeReport', cluster: 'genPowerCfg', endpoint: device.endpoints[0], device, meta: {}};
          const out = c.convert(definition, message, () => {}, {}, {device, state: {}, mapped: definition});
          if (typeof out?.battery === 'number') found = Math.min(100, Math.max(0, out.battery));
        } catch {}
      }
      return found;
    };
    let points = Array.from({length: 90}, (_, i) => [i + 1, percent(i + 1)]);
    if (points.some(([, y]) => y === undefined) || new Set(points.map(([, y]) => y)).size < 2) continue;
    const first = points.findIndex(([, y]) => y > points[0][1]) - 1, last = points.findIndex(([, y]) => y === points.at(-1)[1]);
    points = points.slice(first, last + 1);
    if (points.some(([, y], i) => i > 0 && y < points[i - 1][1])) continue;
    const key = points.map(([x, y]) => `${x}:${y}`).join(' ');
    if (!curves.has(key)) curves.set(key, new Set());
    curves.get(key).add(`${definition.vendor}\t${definition.model}`);
  }
}
for (const key of [...curves.keys()].sort()) {
  console.log(key);
  for (const model of [...curves.get(key)].sort()) console.log(`\t${model}`);
}
process.exit(0);
