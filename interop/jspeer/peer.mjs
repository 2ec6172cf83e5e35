// A js-libp2p peer: TCP, Noise and Yamux, and nothing that serves anybody.
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { plaintext } from '@libp2p/plaintext'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

export function peer (connectionEncrypters = [noise()]) {
  return createLibp2p({
    transports: [tcp()],
    connectionEncrypters,
    streamMuxers: [yamux()],
    services: { identify: identify({ runOnConnectionOpen: false }), ping: ping() },
    connectionGater: { denyDialMultiaddr: () => false }
  })
}

export const unencrypted = () => peer([plaintext()])
