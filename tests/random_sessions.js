// Random conversations of node's ws with a server that compresses: `node random_sessions.js URL SEED COUNT` prints how
// many sessions went well, all if they did; what went wrong is on standard error, and the exit status is 1.
'use strict';

const WebSocket = require('ws');

const [url, seed, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const words = 'the message that is being gathered, and “the one” that was sent before it: ä, €, 😀'.split(' ');
const prefix = Buffer.from('server: ');

// Numbers that look random and are the same for the same seed: mulberry32.
let state = seed;
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

const session = () => new Promise((resolve, reject) => {
  const chosen = parameters(), before = [], waiting = [];
  const socket = new WebSocket(url, { perMessageDeflate: chosen, maxPayload: 16 << 20 });
  const fail = what => { socket.terminate(); reject(new Error(`${what}: ${JSON.stringify(chosen)} ${socket.extensions}`)); };
  for (let left = 1 + below(8); left > 0; left--) before.push(message(before));
  const cuts = before.map(({ data }) => Array.from({ length: one([0, 0, 1, 3]) }, () => below(data.length + 1)).sort((a, b) => a - b));
  const plain = before.map(() => below(5) === 0);
  socket.on('open', () => {
    if (!/^permessage-deflate/.test(socket.extensions)) fail('nothing was agreed to');
    before.forEach(({ binary, data }, number) => {
      waiting.push({ binary, data: binary ? data : Buffer.concat([prefix, data]) });
      let start = 0;
      for (const cut of cuts[number]) {
        socket.send(data.subarray(start, cut), { binary, fin: false, compress: !plain[number] });
        start = cut;
      }
      socket.send(data.subarray(start), { binary, fin: true, compress: !plain[number] });
    });
  });
  socket.on('message', (data, binary) => {
    const expected = waiting.shift();
    if (!expected || expected.binary !== binary || !expected.data.equals(data)) fail('another message came back');
    if (waiting.length === 0) socket.close(1000);
  });
  socket.on('close', code => { if (code === 1000) resolve(); else fail(`closed with ${code}`); });
  socket.on('error', error => fail(error.message));
});

(async () => {
  for (let number = 0; number < count; number++) await session();
  console.log(`${count} sessions`);
})().catch(error => { console.error(error.message); process.exitCode = 1; });
