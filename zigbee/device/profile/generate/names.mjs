// Lists the numbers behind the cluster, attribute and command names that a facts file uses, from the packages
// the facts were observed in. Usage: node names.mjs facts.json.gz > names.txt, beside their node_modules.
import {createRequire} from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const require = createRequire(path.resolve('x.js'));
const root = path.resolve('node_modules/zigbee-herdsman-converters');
const zhc = require(root + '/dist/index.js');
zhc.setLogger({debug() {}, info() {}, warning() {}, error() {}});
const {Zcl} = require('zigbee-herdsman');
globalThis.setTimeout = () => ({unref() {}, ref() {}});
globalThis.setInterval = () => ({unref() {}, ref() {}});
process.on('unhandledRejection', () => {});

const clusters = new Map(); // name -> {id, manufacturer, attributes, commands}
const conflicts = new Set();
const put = (map, key, value) => {
  const old = map.get(key);
  if (old && JSON.stringify(old) !== JSON.stringify(value)) conflicts.add(map.scope + key);
  else map.set(key, value);
};
const params = (list) => (list ?? []).map((p) => [p.name, p.type, p.conditions ? 1 : 0]);
function learn(name, c) {
  if (!clusters.has(name)) clusters.set(name, {id: c.ID, manufacturer: c.manufacturerCode ?? 0, attributes: new Map(), commands: new Map()});
  const to = clusters.get(name);
  to.attributes.scope = to.commands.scope = `${name}/`;
  if (to.id !== c.ID) { conflicts.add(name); return; }
  for (const [a, d] of Object.entries(c.attributes ?? {})) put(to.attributes, a, [d.ID, d.type ?? 0, d.manufacturerCode ?? c.manufacturerCode ?? 0]);
  for (const [a, d] of Object.entries(c.commands ?? {})) put(to.commands, a, [d.ID, params(d.parameters)]);
  for (const [a, d] of Object.entries(c.commandsResponse ?? {})) put(to.commands, '<' + a, [d.ID, params(d.parameters)]);
}
for (const [name, c] of Object.entries(Zcl.Clusters)) learn(name, c);

const device = (definition) => {
  const d = {ieeeAddr: '0x0000000000000001', modelID: definition.zigbeeModel?.[0] ?? definition.fingerprint?.[0]?.modelID ?? 'x',
    manufacturerName: definition.fingerprint?.[0]?.manufacturerName ?? 'x', type: 'EndDevice', endpoints: [], meta: {}, customClusters: {},
    addCustomCluster(name, c) { learn(name, c); this.customClusters[name] = c; }, save() {}, getEndpoint() { return this.endpoints[0]; }, on() {}};
  d.endpoints.push(new Proxy({ID: 1, getDevice: () => d}, {get: (t, k) => t[k] ?? (() => Promise.resolve({}))}));
  return d;
};
for (const f of fs.readdirSync(root + '/dist/devices').filter((f) => f.endsWith('.js')).sort()) {
  for (const raw of require(root + '/dist/devices/' + f).definitions ?? []) {
    let definition;
    try { definition = zhc.prepareDefinition(raw); } catch { continue; }
    const d = device(definition);
    try { definition.onEvent?.({type: 'start', data: {device: d, state: {}, options: {}, deviceExposesChanged() {}}})?.catch?.(() => {}); } catch {}
    try { definition.configure?.(d, d.endpoints[0], definition)?.catch?.(() => {}); } catch {}
  }
}
for (let i = 0; i < 50; i++) await new Promise((r) => setImmediate(r));

const used = new Map();
for (const e of JSON.parse(zlib.gunzipSync(fs.readFileSync(process.argv[2])))) for (const r of e.r) {
  if (!r.c) continue;
  if (!used.has(r.c)) used.set(r.c, {attributes: new Set(), commands: new Set()});
  if (r.attr !== undefined) used.get(r.c).attributes.add(String(r.attr));
  if (r.cmd) used.get(r.c).commands.add(r.cmd[0].toLowerCase() + r.cmd.slice(1));
}
const sorted = (it) => [...it].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
for (const name of sorted(used.keys())) {
  const c = clusters.get(name);
  if (!c || conflicts.has(name)) { if (!/^\d+$/.test(name)) console.error('no number for cluster', name); continue; }
  console.log(`${name} ${c.id}`);
  for (const a of sorted(used.get(name).attributes)) {
    const d = c.attributes.get(a);
    if (/^\d+$/.test(a)) continue;
    if (!d || conflicts.has(`${name}/${a}`)) { console.error('no single number for attribute', name, a); continue; }
    console.log(` ${a} ${d[0]} ${d[1]} ${d[2]}`);
  }
  for (const a of sorted(used.get(name).commands)) {
    for (const [way, d] of [['>', c.commands.get(a)], ['<', c.commands.get('<' + a)]]) {
      if (!d || conflicts.has(`${name}/${way === '<' ? '<' : ''}${a}`)) continue;
      console.log(` ${way}${a} ${d[0]}${d[1].map(([n, t, cond]) => ` ${n}:${cond ? '?' : ''}${t}`).join('')}`);
    }
    if (!c.commands.get(a) && !c.commands.get('<' + a)) console.error('no number for command', name, a);
  }
}
process.exit(0);
