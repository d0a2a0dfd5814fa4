// SPDX-License-Identifier: MIT
// One exchange of node's ws with a server: `node client.js URL [SUBPROTOCOL...]` prints a line of
// JSON for each event, and exits with 0 unless there was an error.
'use strict';

const WebSocket = require('ws');

const [url, ...subprotocols] = process.argv.slice(2);
const socket = new WebSocket(url, subprotocols, { maxPayload: 32 << 20 });
const large = Buffer.alloc(16 << 20, 'node');
const say = (...what) => console.log(JSON.stringify(what));

// Each step sends something; the next step follows when the answer has arrived.
const steps = [
  () => socket.send('Hello wörld €😀'),
  () => socket.send(''),
  () => socket.send(Buffer.from([0, 255, 128])),
  () => socket.send(Buffer.alloc(0)),
  () => {
    socket.send('frag', { fin: false });
    socket.send('men', { fin: false });
    socket.send('ted', { fin: true });
  },
  () => socket.send(large),
  () => socket.ping('are you there?'),
  () => socket.close(4321, 'enough'),
];
const next = () => steps.shift()();

socket.on('open', () => { say('open', socket.protocol, socket.extensions); next(); });
socket.on('message', (data, binary) => {
  say('message', binary, data.length > 1000 ? [data.length, data.equals(large)] : data.toString('latin1'));
  next();
});
socket.on('pong', data => { say('pong', data.toString()); next(); });
socket.on('close', (code, reason) => { say('close', code, reason.toString()); });
socket.on('error', error => { say('error', error.message); process.exitCode = 1; });
