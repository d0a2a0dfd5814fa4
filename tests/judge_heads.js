// Node's HTTP server judges request heads, each on a connection of its own: `node judge_heads.js` reads a JSON list of
// heads in Base64 and writes a list of verdicts: {"read": [method, target, fields]}, {"refused": code} or null where the
// head is not complete.
'use strict';

const http = require('http');
const { Duplex } = require('stream');

const server = http.createServer({ insecureHTTPParser: false, requireHostHeader: true });
const found = (request, socket) => socket.found({ read: [request.method, request.url, request.rawHeaders] });
server.on('request', request => found(request, request.socket));
for (const event of ['checkContinue', 'checkExpectation']) server.on(event, request => found(request, request.socket));
for (const event of ['upgrade', 'connect']) server.on(event, (request, socket) => found(request, socket));
server.on('clientError', (error, socket) => socket.found(/EOF_STATE/.test(error.code) ? null : { refused: error.code }));

const judge = head => new Promise(resolve => {
  const socket = new Duplex({
    read() {},
    // Without an event it answers only what has no Host.
    write(data, encoding, done) { done(); this.found({ refused: data.toString('latin1').split('\r\n')[0] }); },
  });
  socket.found = verdict => { resolve(verdict); socket.destroy(); };
  server.emit('connection', socket);
  socket.push(head);
  socket.push(null);
  socket.on('close', () => resolve(null));
});

(async () => {
  const verdicts = [], heads = JSON.parse(require('fs').readFileSync(0));
  for (const head of heads) verdicts.push(await judge(Buffer.from(head, 'base64')));
  console.log(JSON.stringify(verdicts));
})();
