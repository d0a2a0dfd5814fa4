// What a client does with an open WebSocket, in browsers as in node: an expression for a function of the socket, of a
// plan, and of what sends bytes that are no frame of the library's. It is resolved when the close event has come.
//
// The text "ready" goes first. When its echo is there, what the plan says follows: `raw` bytes; a binary message of `send`
// bytes; `flood`: messages of a megabyte until the socket is open no more; or close(...`close`).
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
