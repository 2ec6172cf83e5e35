// What the checks share: starting peerbee's processes in a folder of their own, ending them again, and asking a
// simulated stick through its control socket.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

export const peerbee = process.env.PEERBEE ?? join(import.meta.dirname, '..', 'bin', 'peerbee')

// Bench is a folder and the processes that work in it.
export class Bench {
  #children = []

  constructor (name) {
    this.dir = mkdtempSync(join(tmpdir(), `peerbee-${name}-`))
    // However the check ends, nothing it started outlives it.
    process.on('exit', () => this.#children.forEach(child => child.kill('SIGKILL')))
    process.on('SIGTERM', () => process.exit(1))
    process.on('SIGINT', () => process.exit(1))
  }

  path (name) {
    return join(this.dir, name)
  }

  // start runs peerbee in the background. Its log is kept beside the rest, to be shown if the check fails.
  start (name, args, options = {}) {
    const child = spawn(peerbee, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    child.lines = createInterface({ input: child.stdout })
    child.stderr.pipe(createWriteStream(this.path(`${name}.log`), { flags: 'a' }))
    child.on('error', err => { console.error(`starting ${peerbee}: ${err.message}`); process.exit(1) })
    this.#children.push(child)
    return child
  }

  // call runs peerbee to its end and gives what it printed; a failure carries what it said.
  async call (args, input) {
    const child = spawn(peerbee, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', b => { out += b })
    child.stderr.on('data', b => { err += b })
    child.stdin.end(input)
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`peerbee ${args.join(' ')} ended with ${code}: ${err.trim()}`)
    return out
  }

  async stop (child) {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await Promise.race([once(child, 'exit'), sleep(5000, null, { ref: false }).then(() => child.kill('SIGKILL'))])
  }

  async end (failed) {
    for (const child of this.#children.reverse()) await this.stop(child)
    if (failed && !process.env.KEEP) {
      for (const name of ['daemon.log', 'stick.log']) {
        try {
          const lines = readFileSync(this.path(name), 'utf8').trimEnd().split('\n')
          console.error(`--- the last of ${name}\n${lines.slice(-15).join('\n')}`)
        } catch { /* that process was not part of this check */ }
      }
    }
    if (process.env.KEEP) console.error(`kept ${this.dir}`)
    else rmSync(this.dir, { recursive: true, force: true })
  }
}

// Stick asks a simulated stick.
export class Stick {
  #waiting = []

  static async at (path) {
    const stick = new Stick()
    await until('the control socket to open', async () => {
      const socket = connect(path)
      try { await once(socket, 'connect') } catch { return false }
      stick.socket = socket
      return true
    })
    createInterface({ input: stick.socket }).on('line', line => stick.#waiting.shift()?.(JSON.parse(line)))
    return stick
  }

  async do (op, fields = {}) {
    const answer = new Promise(resolve => this.#waiting.push(resolve))
    this.socket.write(JSON.stringify({ op, ...fields }) + '\n')
    const got = await answer
    if (got.error) throw new Error(`the simulated stick refused ${op}: ${got.error}`)
    return got
  }

  close () {
    this.socket.destroy()
  }
}

// until tries again and again until what() is true, and fails after a while.
export async function until (description, what, ms = 20000) {
  const end = Date.now() + ms
  for (;;) {
    const got = await what()
    if (got) return got
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${description}`)
    await sleep(20)
  }
}

// within gives the promise's value, or fails after a while.
export async function within (description, promise, ms = 20000) {
  const late = new AbortController()
  const timeout = sleep(ms, null, { signal: late.signal }).then(() => { throw new Error(`waited ${ms} ms for ${description}`) }, () => {})
  try {
    return await Promise.race([promise, timeout])
  } finally {
    late.abort()
  }
}

// check runs one check from beginning to end and says how it went.
export async function check (name, body) {
  const bench = new Bench(name)
  let failure
  try {
    const said = await body(bench)
    console.log(`ok ${name}: ${said}`)
  } catch (err) {
    failure = err
    console.error(`FAILED ${name}: ${err.stack ?? err}`)
  }
  await bench.end(failure)
  process.exit(failure ? 1 : 0)
}
