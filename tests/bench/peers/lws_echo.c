/* SPDX-License-Identifier: MIT */
/* lws_echo: an echo server with libwebsockets: lws_echo PORT PREFIX [deflate]. Text gets the prefix in front,
 * binary messages do not. Complete messages wait in a queue until libwebsockets reports that the connection
 * is writable, and are sent while it accepts them. A connection with a long queue is not read from. */

#include <libwebsockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUFFER_BYTES = 128 << 10, /* of one read */
    QUEUE_BYTES = 1 << 20,    /* in a long queue */
};

/* A message, received or still being received: LWS_PRE bytes of room, the prefix, the payload. */
struct message {
    struct message *next;
    size_t length, room;
    bool binary;
    unsigned char bytes[];
};

/* The state of a connection: the message that is being received, those to be sent, and the one that was sent
 * last: while libwebsockets compresses, it reads from it until it reports the connection writable again. */
struct session {
    struct message *receiving, *first, **last, *sent;
    size_t queued;
};

static const char *prefix;
static bool compresses;

/* Takes a message (or NULL) and a size; returns it resized, or NULL if there is no memory. */
static struct message *with_room(struct message *message, size_t room)
{
    if (message && message->room >= room)
        return message;
    room = message ? room + room / 2 : room;
    struct message *larger = realloc(message, sizeof *larger + LWS_PRE + room);
    if (larger) {
        if (!message)
            larger->length = 0;
        larger->room = room;
    }
    return larger;
}

/* Takes a connection, its session and a piece of a message; queues the message when it is complete. Returns
 * 0, or -1 to end the connection. */
static int received(struct lws *connection, struct session *session, const void *piece, size_t length)
{
    size_t left = lws_remaining_packet_payload(connection);
    bool binary = lws_frame_is_binary(connection) != 0, begins = !session->receiving;
    struct message *message = session->receiving;
    message = with_room(message, (message ? message->length : strlen(prefix)) + length + left);
    if (!message)
        return -1;
    session->receiving = message;
    if (begins && !binary) {
        message->length = strlen(prefix);
        memcpy(message->bytes + LWS_PRE, prefix, message->length);
    }
    message->binary = binary;
    memcpy(message->bytes + LWS_PRE + message->length, piece, length);
    message->length += length;
    if (left > 0 || !lws_is_final_fragment(connection))
        return 0;
    message->next = NULL;
    if (!session->first)
        session->last = &session->first;
    *session->last = message;
    session->last = &message->next;
    session->queued += message->length;
    session->receiving = NULL;
    if (session->queued > QUEUE_BYTES)
        lws_rx_flow_control(connection, 0);
    lws_callback_on_writable(connection);
    return 0;
}

/* Takes a connection and its session; sends from the queue while the connection accepts messages. Returns
 * 0, or -1 to end it. */
static int writable(struct lws *connection, struct session *session)
{
    free(session->sent);
    session->sent = NULL;
    while (session->first && !session->sent && !lws_send_pipe_choked(connection)) {
        struct message *message = session->first;
        int sent = lws_write(connection, message->bytes + LWS_PRE, message->length,
                             message->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
        if (sent < (int)message->length)
            return -1;
        session->first = message->next;
        session->queued -= message->length;
        if (compresses)
            session->sent = message;
        else
            free(message);
    }
    if (session->first || session->sent)
        lws_callback_on_writable(connection);
    if (session->queued <= QUEUE_BYTES)
        lws_rx_flow_control(connection, 1);
    return 0;
}

/* Takes an event of libwebsockets for a connection; returns 0, or -1 to end it. */
static int happened(struct lws *connection, enum lws_callback_reasons reason, void *user, void *piece,
                    size_t length)
{
    struct session *session = user;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        lws_set_extension_option(connection, "permessage-deflate", "compression_level", "6");
        return 0;
    case LWS_CALLBACK_RECEIVE: return received(connection, session, piece, length);
    case LWS_CALLBACK_SERVER_WRITEABLE: return writable(connection, session);
    case LWS_CALLBACK_CLOSED:
        free(session->receiving);
        free(session->sent);
        for (struct message *message; (message = session->first);) {
            session->first = message->next;
            free(message);
        }
        return 0;
    default: return 0;
    }
}

int main(int argc, char **argv)
{
    static const struct lws_extension deflate[] = {
        {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate"}, {0}};
    if (argc < 3)
        return 64;
    prefix = argv[2];
    compresses = argc > 3;
    const struct lws_protocols protocols[] = {{.name = "echo",
                                               .callback = happened,
                                               .per_session_data_size = sizeof(struct session),
                                               .rx_buffer_size = BUFFER_BYTES},
                                              {0}};
    struct lws_context_creation_info information = {.port = atoi(argv[1]),
                                                    .iface = "127.0.0.1",
                                                    .options = LWS_SERVER_OPTION_DISABLE_IPV6,
                                                    .protocols = protocols,
                                                    .extensions = compresses ? deflate : NULL,
                                                    .pt_serv_buf_size = BUFFER_BYTES};
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&information);
    while (context && lws_service(context, 0) >= 0)
        ;
    return 71;
}
