// SPDX-License-Identifier: MIT
// Random conversations of node's ws with a server: `node random_conversations.js URL SEED COUNT [--deflate]`, with
// --deflate if the server has it. Prints how many conversations were right. For each wrong one, prints the reason and its
// seed to standard error; the exit status is then 1.
'use strict';

const WebSocket = require('ws');

const [url, seed, count, deflate] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4]), process.argv[5]];
const words = 'the message that is being gathered, and “the one” that was sent before it: ä, €, 😀'.split(' ');
const prefix = Buffer.from('server: ');

// Pseudo-random numbers, the same for the same seed: mulberry32.
let state;
const below = limit => {
  state = (state + 0x6d2b79f5) | 0;
  let number = Math.imul(state ^ (state >>> 15), 1 | state);
  number = (number + Math.imul(number ^ (number >>> 7), 61 | number)) ^ number;
  return ((number ^ (number >>> 14)) >>> 0) % limit;
};
const one = list => list[below(list.length)];

const parameters = () => {
  const chosen = { threshold: one([0, 0, 1024]), serverNoContextTakeover: below(2) > 0, clientNoContextTakeover: below(2) > 0 };
  if (below(2)) chosen.serverMaxWindowBits = 9 + below(7);
  if (below(3)) chosen.clientMaxWindowBits = one([true, 9 + below(7)]);
  return chosen;
};

const message = before => {
  const size = one([0, 1, 20, 117, 126, 300, 3000, 30000]);
  if (before.length && below(5) === 0) return one(before);
  if (below(4) === 0) return { binary: true, data: Buffer.from(Array.from({ length: size }, () => below(256))) };
  if (below(4) === 0) return { binary: below(2) > 0, data: Buffer.alloc(size) };
  return { binary: below(2) > 0, data: Buffer.from(Array.from({ length: size / 4 }, () => one(words)).join(' ')) };
};

const pieces = data => {
  const cuts = Array.from({ length: one([0, 0, 1, 3]) }, () => below(data.length + 1)).sort((a, b) => a - b);
  return [...cuts, data.length].map((cut, number) => data.subarray(number ? cuts[number - 1] : 0, cut));
};

const conversation = number => new Promise((resolve, reject) => {
  state = number;
  const chosen = deflate ? parameters() : false, messages = [], waiting = [];
  const code = one([1000, 1001, 1003, 1011, 3000, 4999, 1005]), reason = one(['', 'enough', 'genug €']);
  const socket = new WebSocket(url, { perMessageDeflate: chosen, maxPayload: 16 << 20 });
  const fail = what => {
    socket.terminate();
    reject(new Error(`seed ${number}: ${what}: ${JSON.stringify(chosen)} ${socket.extensions}`));
  };
  const close = () => { if (code === 1005) socket.close(); else socket.close(code, reason); };
  const received = (kind, data) => {
    const expected = waiting.shift();
    if (!expected || expected.kind !== kind || !expected.data.equals(data)) fail(`a ${kind} came that is not what was due`);
    if (waiting.length === 0) close();
  };
  for (let left = 1 + below(8); left > 0; left--) messages.push(message(messages));
  socket.on('open', () => {
    if (deflate ? !/^permessage-deflate/.test(socket.extensions) : socket.extensions) fail('the wrong extension');
    for (const { binary, data } of messages) {
      const compress = below(5) > 0, parts = pieces(data);
      parts.forEach((part, at) => {
        if (below(4) === 0) {
          const payload = Buffer.from(Array.from({ length: one([0, 1, 125]) }, () => below(256)));
          waiting.push({ kind: 'pong', data: payload });
          socket.ping(payload);
        }
        if (below(4) === 0) socket.pong('unasked');
        socket.send(part, { binary, fin: at === parts.length - 1, compress });
      });
      waiting.push({ kind: binary ? 'binary' : 'text', data: binary ? data : Buffer.concat([prefix, data]) });
    }
  });
  socket.on('message', (data, binary) => received(binary ? 'binary' : 'text', data));
  socket.on('pong', data => received('pong', data));
  socket.on('close', (answered, why) => {
    const echoed = code === 1005 ? '' : reason;
    if (answered === code && why.toString() === echoed && waiting.length === 0) resolve();
    else fail(`closed with ${answered} ${why}`);
  });
  socket.on('error', error => fail(error.message));
});

(async () => {
  for (let number = seed; number < seed + count; number++) await conversation(number);
  console.log(`${count} conversations`);
})().catch(error => { console.error(error.message); process.exitCode = 1; });
