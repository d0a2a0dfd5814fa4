// SPDX-License-Identifier: MIT
// An echo server with ws and bufferutil: ws_echo.js PORT PREFIX [deflate]. Text gets the prefix, binary messages do
// not.
'use strict';
require('bufferutil'); // ws uses it only if it is installed; fail without it
const { WebSocketServer } = require('ws');
const [port, prefix] = [Number(process.argv[2]), Buffer.from(process.argv[3])];

const perMessageDeflate = process.argv[4] === 'deflate' && { threshold: 0, zlibDeflateOptions: { level: 6, memLevel: 8 } };
const options = { host: '127.0.0.1', port, perMessageDeflate, maxPayload: 16 << 20 };
new WebSocketServer(options).on('connection', (connection) => {
    connection.on('message', (message, binary) => {
        connection.send(binary ? message : Buffer.concat([prefix, message]), { binary });
    });
    connection.on('error', () => {}); // a peer that goes away
});
