// SPDX-License-Identifier: MIT
// One WebSocket of a node library: `node closing.js ws|undici URL PLAN` prints its close event and the errors of its
// connection as JSON. talk.js explains PLAN.
'use strict'

const {readFileSync} = require('fs')
const [name, url, plan] = process.argv.slice(2)
const talk = eval(readFileSync(`${__dirname}/talk.js`, 'utf8'))
const library = require(name)
let connection, socket

const watch = made => {
    connection = made
    connection.on('error', error => socket.told.errors.push(error.code))
}
if (name === 'undici') {
    const connect = library.buildConnector({})
    library.setGlobalDispatcher(new library.Agent({
        connect: (options, done) => connect(options, (error, made) => { if (made) watch(made); done(error, made) }),
    }))
}
socket = new library.WebSocket(url)
if (name === 'ws') socket.on('upgrade', response => watch(response.socket))

talk(socket, JSON.parse(plan), bytes => connection.write(Buffer.from(bytes, 'hex')))
    .then(told => { console.log(JSON.stringify(told)); process.exit() })
