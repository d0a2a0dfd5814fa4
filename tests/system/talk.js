// SPDX-License-Identifier: MIT
// What a client does with an open WebSocket, in browsers and in node: an expression whose value is a function of the
// socket, a plan, and a function that sends raw bytes. Its promise is resolved by the close event.
//
// First it sends the text "ready". After the echo, it follows the plan: `raw`: sends these bytes; `send`: sends a
// binary message of so many bytes; `flood`: sends messages of a megabyte while the socket is open; `close`: calls
// close(...close).
(socket, {raw, send, flood, close}, sendRaw) => new Promise(resolve => {
    const told = {errors: []}
    const message = new Uint8Array(1 << 20)
    const more = () => {
        if (socket.readyState !== 1) return
        if (socket.bufferedAmount < 4 << 20) socket.send(message)
        setTimeout(more)
    }
    socket.onopen = () => socket.send('ready')
    socket.onmessage = () => {
        if (raw) sendRaw(raw)
        if (send) socket.send(new Uint8Array(send))
        if (flood) more()
        if (close) socket.close(...close)
    }
    socket.onerror = event => told.errors.push(`error event ${event.message ?? ''}`)
    socket.onclose = ({code, reason, wasClean}) => resolve(Object.assign(told, {code, reason, wasClean}))
    socket.told = told
})
