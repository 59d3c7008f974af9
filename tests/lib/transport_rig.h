/* transport_rig.h -- both ends of a connection on one loop, over any kind of transport: what each
 * end saw is kept for the test to look at.
 *
 *     rig_connect(rig);                              a listener, a client, the server's end
 *     rig_send(rig, &rig->client, "question", 8);
 *     rig_run_until(rig, rig->server.received.size == 8);
 *
 * Fails the test where a callback comes from within a function of the transport. */
#ifndef OSR_TESTS_TRANSPORT_RIG_H
#define OSR_TESTS_TRANSPORT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/transport.h"
#include "lib/scratch.h"
#include "lib/sim_bus.h"
#include "lib/tls_pair.h"

enum {
    RIG_WAIT_MS = 8 * 1000, /* for a condition */
    RIG_DIAL_MS = 2000,
    RIG_BIG_BYTES = 8 << 20,
};

/* One end of a connection, and what it saw. */
struct transport_end {
    struct osr_connection *connection; /* NULL after on_close */
    struct osr_buffer received;
    int opens, ends, drains, closes;
    struct osr_err close_err;
    size_t pause_after; /* stops reading at each on_read; 0: never */
    uint8_t room[16384];
};

struct transport_rig {
    uv_loop_t loop;
    struct osr_listener *listener;
    struct transport_end client;
    struct transport_end server;
    char folder[SCRATCH_PATH_MAX];
    char address[SCRATCH_PATH_MAX + 32]; /* to listen at */
    /* Of a cluster's CA; NULL: plaintext. A test may replace them. */
    struct osr_tls_context *server_security;
    struct osr_tls_context *client_security;
    struct osr_party authority;
    struct osr_party server_party;
    struct osr_party client_party;
    struct osr_sim_bus *broker; /* of messages; NULL: the connection is direct */
    bool refuses;               /* the server closes what it accepts */
    bool in_call;               /* a function of the transport is running */
    bool timed_out;
};

extern const struct osr_connection_handler rig_handler;
/* The same without the two that may be NULL. */
extern const struct osr_connection_handler rig_plain_handler;

/* For cmocka: each with an address of its kind. */
int rig_set_up_tcp(void **state);
int rig_set_up_unix(void **state);
int rig_set_up_tls(void **state);
int rig_set_up_udp(void **state);
int rig_set_up_messages(void **state); /* over a simulated broker, as they are */
int rig_set_up_messages_tls(void **state);
int rig_tear_down(void **state);

/* Options of one side, as rig_set_up_tls and _udp use them, and a context made of options. */
struct osr_tls_options rig_tls_options(const struct transport_rig *rig, bool is_server);
void rig_secure(struct osr_tls_context **context, const struct osr_tls_options *options);

/* ---- driving; `text` is a URL ---- */

struct osr_url rig_url(const char *text);
int rig_try_listen(struct transport_rig *rig, const char *text, struct osr_listener **ret_listener,
                   struct osr_err *err);
void rig_listen(struct transport_rig *rig);
/* Nobody listens any more. Returns where it was, to be freed. */
char *rig_stop_listening(struct transport_rig *rig);
void rig_dial(struct transport_rig *rig, const char *text,
              const struct osr_connection_handler *handler);
void rig_dial_listener(struct transport_rig *rig);
/* A listener, a client, and the server's end of the two; both can be written to. */
void rig_connect(struct transport_rig *rig);
void rig_send(struct transport_rig *rig, struct transport_end *end, const void *data, size_t size);
void rig_read(struct transport_rig *rig, struct transport_end *end, bool on);
void rig_end(struct transport_rig *rig, struct transport_end *end);
void rig_close(struct transport_rig *rig, struct transport_end *end, bool reset);
void rig_turn(struct transport_rig *rig, int turns); /* of the loop, without waiting */

void rig_timer_start(struct transport_rig *rig, uv_timer_t *timer);
void rig_timer_stop(struct transport_rig *rig, uv_timer_t *timer);
/* Runs the loop until the condition holds; fails after RIG_WAIT_MS. */
#define rig_run_until(rig, condition)                                                              \
    do {                                                                                           \
        uv_timer_t rig_timer;                                                                      \
        rig_timer_start((rig), &rig_timer);                                                        \
        while (!(condition) && !(rig)->timed_out) {                                                \
            uv_run(&(rig)->loop, UV_RUN_ONCE);                                                     \
        }                                                                                          \
        rig_timer_stop((rig), &rig_timer);                                                         \
        assert_true(condition);                                                                    \
    } while (0)

/* ---- looking ---- */

void assert_received(const struct transport_end *end, const char *text);
/* RIG_BIG_BYTES that differ from place to place; to be freed. */
uint8_t *rig_big_bytes(void);
void assert_received_bytes(const struct transport_end *end, const uint8_t *bytes);

#endif
