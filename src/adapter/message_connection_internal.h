/* message_connection_internal.h -- a connection over a bus from within: what dialling
 * (message_dial.c), listening (message_listen.c) and moving bytes (message_connection.c) share. For
 * these three alone.
 *
 * Life: made -> (dialling) -> up -> gone. When it is gone its parts are closed: its handles, and
 * the bus of a dialled one; the last part's end calls on_close and frees. */
#ifndef OSR_ADAPTER_MESSAGE_CONNECTION_INTERNAL_H
#define OSR_ADAPTER_MESSAGE_CONNECTION_INTERNAL_H

#include "adapter/message_connection.h"
#include "adapter/message_link.h"

struct osr_message_listener;

struct osr_message_connection {
    struct osr_connection base; /* first */
    uv_loop_t *loop;
    struct osr_message_link *link;
    uint8_t id[OSR_MESSAGE_ID_BYTES];
    struct osr_bus *bus;                   /* its own where it was dialled, else the listener's */
    struct osr_message_listener *listener; /* NULL: it was dialled */
    char *peer;           /* the other end's address at the bus; NULL: the bus knows */
    uv_idle_t pump;       /* sends what came together in one turn of the loop */
    uv_timer_t timer;     /* of dialling, later of closing */
    uv_timer_t watch;     /* whether the other side has what was sent */
    uint64_t patience_ms; /* of the probe that is under way */
    int parts_open;
    size_t ignored; /* bytes that came after the close */
    bool read_wanted;
    bool end_wanted;
    bool is_end_told;
    bool is_closing; /* the handler gets on_close alone */
    bool is_gone;
};

/* With its handles, and without a bus. `open` as of osr_message_link_create. */
struct osr_message_connection *osr_message_connection_make(uv_loop_t *loop, const uint8_t *id,
                                                           const struct osr_message_packet *open,
                                                           char *url);
/* Without a word to anybody but its handler. */
void osr_message_connection_discard(struct osr_message_connection *connection);
void osr_message_connection_receive(struct osr_message_connection *connection,
                                    const struct osr_message_packet *packet);
/* Sends what there is to be sent, at the end of the loop's turn. */
void osr_message_connection_wake(struct osr_message_connection *connection);
/* Somebody says that the other side is gone. */
void osr_message_connection_doubt(struct osr_message_connection *connection);
/* Over, for this reason; the other side hears of it where that is possible. */
void osr_message_connection_fail(struct osr_message_connection *connection,
                                 const struct osr_err *err);
/* One of its parts is closed. */
void osr_message_connection_part_closed(struct osr_message_connection *connection);

void osr_message_send_reset(struct osr_bus *bus, const char *peer, const uint8_t *id,
                            enum osr_code code);

/* message_listen.c: it is gone; later it is freed. */
void osr_message_listener_forget(struct osr_message_listener *listener,
                                 struct osr_message_connection *connection);
void osr_message_listener_release(struct osr_message_listener *listener);

#endif
