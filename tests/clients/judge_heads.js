// SPDX-License-Identifier: MIT
// Parses request heads with Node's HTTP server, each on a connection of its own. `node judge_heads.js` reads a JSON
// list of heads in Base64 and writes a list of results: {"read": [method, target, fields]}, {"refused": code}, or null
// if the head is incomplete.
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
    // The server emits no event only for a request without Host, which it answers itself.
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
