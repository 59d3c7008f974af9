/* How a dialled connection comes to its handshake: a name is looked up, its addresses are tried in
 * turn, each with a socket and a session of its own, within one time-out. */
#include <errno.h>
#include <stdlib.h>

#include "adapter/address.h"
#include "adapter/addresses.h"
#include "adapter/clock.h"
#include "adapter/udp_internal.h"

enum {
    /* Who waits at a gate hears nothing for half as long. */
    SILENCE_MS = 2 * OSR_GATE_WAIT_MS_MAX,
};

struct osr_udp_dial {
    struct osr_addresses addresses;
    uint64_t deadline_ms;
    uint64_t heard_ms; /* something has come in this attempt the last time; 0: nothing has */
};

void osr_udp_dial_free(struct osr_udp_dial *dial)
{
    if (dial != NULL) {
        osr_addresses_done(&dial->addresses);
        free(dial);
    }
}

static void fail(struct osr_udp *connection, int errno_value)
{
    struct osr_err err;
    osr_address_connect_error(&err, errno_value, connection->base.url, false);
    osr_udp_fail(connection, &err);
}

/* ---- attempts ---- */

static void try_next(struct osr_udp *connection);

static void forget_attempt(struct osr_udp *connection)
{
    osr_udp_port_remove(connection);
    osr_dtls_destroy(connection->dtls);
    connection->dtls = NULL;
    connection->peer_knows_id = false;
    memset(connection->peer_id, 0, sizeof(connection->peer_id));
    connection->dial->heard_ms = 0;
}

static void end_attempt(struct osr_udp *connection, int errno_value)
{
    if (osr_addresses_left(&connection->dial->addresses) == 0) {
        fail(connection, errno_value);
        return;
    }
    forget_attempt(connection);
    try_next(connection);
}

/* Who has answered, and does not come to the end of a handshake, is not passed over. */
static void on_attempt_limit(uv_timer_t *limit)
{
    static const uint8_t unknown[OSR_UDP_ID_BYTES];
    struct osr_udp *connection = limit->data;
    if (memcmp(connection->peer_id, unknown, sizeof(unknown)) != 0) {
        osr_udp_on_handshake_limit(limit);
    } else {
        end_attempt(connection, ETIMEDOUT);
    }
}

/* With the peer's address: says hello to it. */
static void start(struct osr_udp *connection)
{
    struct osr_udp_port *port;
    int errno_value =
        osr_udp_port_open(connection->loop, connection->peer.any.sa_family, NULL, &port);
    if (errno_value != 0) {
        end_attempt(connection, errno_value);
        return;
    }
    osr_udp_port_add(port, connection);
    osr_udp_port_release(port); /* the connection keeps it */
    connection->dtls = osr_dtls_create(connection->security);
    osr_udp_settle(connection);
}

static uint64_t share_of_time(const struct osr_udp_dial *dial)
{
    uint64_t now_ms = osr_monotonic_ms();
    uint64_t sharers = 1 + osr_addresses_left(&dial->addresses);
    return now_ms < dial->deadline_ms ? (dial->deadline_ms - now_ms) / sharers : 0;
}

static void try_next(struct osr_udp *connection)
{
    struct osr_udp_dial *dial = connection->dial;
    connection->peer = osr_udp_address(osr_addresses_next(&dial->addresses)->ai_addr);
    uv_timer_start(&connection->limit, on_attempt_limit, share_of_time(dial), 0);
    start(connection);
}

void osr_udp_dial_note_heard(struct osr_udp *connection)
{
    connection->dial->heard_ms = osr_monotonic_ms();
}

bool osr_udp_dial_begin_anew(struct osr_udp *connection)
{
    uint64_t heard_ms = connection->dial->heard_ms;
    if (heard_ms == 0 || osr_monotonic_ms() - heard_ms < SILENCE_MS) {
        return false;
    }
    forget_attempt(connection);
    start(connection);
    return true;
}

/* Anybody can send such news. Once it is up it is not believed without more. */
void osr_udp_dial_refused(struct osr_udp *connection, int errno_value)
{
    if (errno_value == EMSGSIZE) {
        return;
    }
    if (connection->dial != NULL) {
        end_attempt(connection, errno_value);
    } else {
        osr_udp_doubt(connection);
    }
}

/* ---- the name ---- */

static void on_found(void *context, const struct osr_err *err)
{
    struct osr_udp *connection = context;
    if (connection->is_gone) {
        return;
    }
    if (err != NULL) {
        struct osr_err copy = *err;
        osr_udp_fail(connection, &copy);
    } else {
        try_next(connection);
    }
}

static void on_lookup_limit(uv_timer_t *limit)
{
    fail(limit->data, ETIMEDOUT);
}

int osr_udp_dial(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                 uint32_t timeout_ms, const struct osr_connection_handler *handler, void *context,
                 struct osr_connection **ret_connection, struct osr_err *err)
{
    struct osr_udp *connection = osr_udp_make(loop, security, osr_strdup(url->text));
    connection->is_dialled = true;
    connection->base.is_local = osr_url_is_loopback(url);
    connection->dial = osr_alloc(sizeof(*connection->dial));
    connection->dial->deadline_ms = osr_monotonic_ms() + timeout_ms;
    int code = osr_addresses_look_up(&connection->dial->addresses, loop, url->host, url->port,
                                     on_found, connection, err);
    if (code != 0) {
        osr_connection_close(&connection->base, true); /* without a handler yet: nobody is called */
        return code;
    }
    connection->base.handler = handler;
    connection->base.context = context;
    uv_timer_start(&connection->limit, on_lookup_limit, timeout_ms, 0);
    *ret_connection = &connection->base;
    return 0;
}
