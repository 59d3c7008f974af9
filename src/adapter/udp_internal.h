/* udp_internal.h -- what the files of udp.h share.
 *
 * udp.c         one connection: its bytes
 * udp_end.c     how it ends
 * udp_dial.c    how a dialled one comes to its handshake: names, addresses, refusals
 * udp_listen.c  how an accepted one does: cookies, the gate
 * udp_form.h    what stands before the records of a datagram
 * udp_port.c    which datagram is whose
 * udp_socket.c  datagrams in and out, many at a time
 *
 * Life of a connection: made -> (dialling, or waiting at the gate) -> handshake -> up -> leaving
 * (both directions have ended: close_notify was said, the other side's is awaited for a moment)
 * -> gone. */
#ifndef OSR_ADAPTER_UDP_INTERNAL_H
#define OSR_ADAPTER_UDP_INTERNAL_H

#include "adapter/dtls.h"
#include "adapter/gate.h"
#include "adapter/udp_form.h"
#include "adapter/udp_socket.h"
#include "base/map.h"

enum {
    /* Both have ended, and the other side may still ask whether its end has arrived. */
    OSR_UDP_LEAVE_MS = 400,
    OSR_UDP_FAREWELL_BYTES_MAX = 128,
    /* Copies of the last words, after which nobody is there to repeat them. */
    OSR_UDP_LAST_WORDS = 3,
    /* Somebody who need not be the other side says that it is gone, and it does not answer: a
     * process that was killed is not awaited as long as a path that is silent. */
    OSR_UDP_DOUBT_MS = 1000,
    /* A record that says that the connection is over at once: no packet is that short. */
    OSR_UDP_RESET_BYTES = 1,
    /* Bytes under way or waiting that do not count as queued, as a socket's own buffer does not. */
    OSR_UDP_BUFFER_BYTES = 256 << 10,
    /* Datagrams sent by a connection before others have their turn. */
    OSR_UDP_SENT_A_TURN = 64,
};

enum {
    OSR_UDP_STRANGER_BYTES_MAX = sizeof(struct sockaddr_in6) + OSR_UDP_ID_BYTES,
};

_Static_assert((int)OSR_UDP_FIRST_BYTES + (int)OSR_DTLS_DATAGRAM_BYTES == OSR_DATAGRAM_BYTES_MIN &&
                   (int)OSR_UDP_STRANGER_BYTES_MAX <= (int)OSR_DTLS_SENDER_BYTES_MAX,
               "a handshake fits the smallest path, and a stranger a cookie");

struct osr_udp_dial;
struct osr_udp_listener;
struct osr_udp_port;

struct osr_udp {
    struct osr_connection base; /* first */
    uv_loop_t *loop;
    struct osr_tls_context *security;
    struct osr_udp_port *port;                    /* NULL: not yet */
    struct osr_udp_dial *dial;                    /* NULL unless dialling */
    struct osr_dtls *dtls;                        /* NULL: not yet */
    struct osr_datagram_pipe *pipe;               /* NULL: it is not up */
    struct osr_udp *next_touched;                 /* in the port's list */
    struct osr_udp_address peer;                  /* where it is written to */
    struct osr_udp_address tried;                 /* where it has moved to, as it seems */
    uint8_t own_id[OSR_UDP_ID_BYTES];             /* in what comes */
    uint8_t peer_id[OSR_UDP_ID_BYTES];            /* in what goes; zeroes: not known yet */
    uint8_t stranger[OSR_UDP_STRANGER_BYTES_MAX]; /* whom it came from at first */
    size_t stranger_size;                         /* 0: dialled */
    struct osr_gate *gate;                        /* NULL: there is none */
    struct osr_visitor visitor;
    uint64_t network;
    uint64_t wait_ms; /* at the gate */
    uv_timer_t timer; /* of handshake and pipe: something has to be sent again */
    uv_timer_t limit; /* of dialling, waiting, the handshake, closing, leaving */
    uv_idle_t pump;   /* what functions of transport.h have asked for is done in the loop's turn */
    int handles_open;
    struct osr_buffer early; /* written before it was up */
    /* The last datagram, once it is leaving: the answer to whatever still comes. */
    uint8_t farewell[OSR_UDP_FAREWELL_BYTES_MAX];
    size_t farewell_size;
    size_t ignored; /* bytes that came after the close */
    bool is_dialled;
    bool is_waiting;    /* at the gate: nothing is heard */
    bool peer_knows_id; /* and we know its own: neither has to be named any more */
    bool is_up;
    bool read_wanted;
    bool end_wanted;
    bool is_end_told;
    bool has_written; /* since on_drain */
    bool is_closing;  /* the handler gets on_close alone */
    bool is_leaving;
    bool is_doubted;    /* whether the other side is there: `limit` runs */
    bool peer_has_left; /* close_notify has come */
    bool is_gone;       /* handles are being closed */
    bool is_touched;    /* in the port's list */
};

/* -- udp.c -- */

/* The URL becomes the connection's. */
struct osr_udp *osr_udp_make(uv_loop_t *loop, struct osr_tls_context *security, char *url);
/* For it: a datagram that bears its id, or a stranger's. Callbacks come with osr_udp_settle. */
void osr_udp_receive(struct osr_udp *connection, const struct osr_udp_address *from,
                     const struct osr_udp_datagram *datagram);
/* Hands on what has come, sends what is to be sent, and looks when to do so again. */
void osr_udp_settle(struct osr_udp *connection);
void osr_udp_wake(struct osr_udp *connection); /* settles in a later turn */
/* What the session has to say: its handshake, alerts. */
void osr_udp_send_handshake(struct osr_udp *connection);
/* What the pipe has to say. False: there may be more, and others have their turn first. */
bool osr_udp_send_packets(struct osr_udp *connection);
void osr_udp_send_record(struct osr_udp *connection, const struct osr_udp_address *to,
                         struct osr_slice packet);
size_t osr_udp_write_header(const struct osr_udp *connection, uint8_t *datagram);

/* -- udp_end.c -- */

/* Ends it; `err` is noted, but for the first one of several. */
void osr_udp_fail(struct osr_udp *connection, struct osr_err *err);
void osr_udp_on_handshake_limit(uv_timer_t *limit);
/* Somebody says that the other side is gone. Who is there answers what it was sent; nobody is
 * believed more than that. */
void osr_udp_doubt(struct osr_udp *connection);
void osr_udp_dispel_doubt(struct osr_udp *connection); /* it has answered */
void osr_udp_want_end(struct osr_udp *connection);     /* of our direction */
/* Looks whether both directions have ended, or the other side has cut it off. */
void osr_udp_settle_end(struct osr_udp *connection);
/* It is leaving, and something has come: the other side may not have heard the farewell. */
void osr_udp_leave_again(struct osr_udp *connection);
/* Closing: what has come is thrown away. */
void osr_udp_ignore_rest(struct osr_udp *connection);
void osr_udp_close(struct osr_connection *base, bool reset); /* as a connection's kind */

/* -- udp_dial.c -- */

void osr_udp_dial_free(struct osr_udp_dial *dial); /* NULL is a no-op */
/* The system has heard that nobody is there. */
void osr_udp_dial_refused(struct osr_udp *connection, int errno_value);
void osr_udp_dial_note_heard(struct osr_udp *connection); /* in the handshake */
/* The other side had answered, and is silent now in the middle of the handshake: a NAT has given
 * either another address, where it is not heard yet, or it was restarted. False: it is not so. */
bool osr_udp_dial_begin_anew(struct osr_udp *connection);

/* -- udp_listen.c -- */

/* Nobody whom the port knows. */
void osr_udp_listener_meet(struct osr_udp_listener *listener, const struct osr_udp_address *from,
                           struct osr_slice stranger, const struct osr_udp_datagram *datagram);
void osr_udp_enter(struct osr_udp *connection); /* accepted: its handler is set */

/* -- udp_port.c: counted -- */

/* `address` NULL: a dialled one's own. Returns 0 or an errno. */
int osr_udp_port_open(uv_loop_t *loop, sa_family_t family, const struct osr_udp_address *address,
                      struct osr_udp_port **ret_port);
void osr_udp_port_release(struct osr_udp_port *port); /* NULL is a no-op */
struct osr_udp_socket *osr_udp_port_socket(const struct osr_udp_port *port);
void osr_udp_port_listen(struct osr_udp_port *port, struct osr_udp_listener *listener);
/* Chooses own_id, holds the port, and has its datagrams come. */
void osr_udp_port_add(struct osr_udp_port *port, struct osr_udp *connection);
void osr_udp_port_remove(struct osr_udp *connection); /* and releases; again: a no-op */

#endif
