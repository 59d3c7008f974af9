#include "adapter/amqp_connect.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <sys/time.h>

#include "adapter/amqp_failure.h"
#include "adapter/broker_tls.h"
#include "adapter/bus.h"

static const struct timeval step_timeout = {.tv_sec = OSR_BUS_CONNECT_MS / 1000};

/* Verifies as OpenSSL does by itself, and keeps what it found wrong: *context. */
static int verify_and_note(X509_STORE_CTX *store, void *context)
{
    int *verdict = context;
    int is_good = X509_verify_cert(store);
    *verdict = X509_STORE_CTX_get_error(store);
    return is_good;
}

static amqp_socket_t *make_tls_socket(const struct osr_url *url,
                                      const struct osr_broker_login *login,
                                      amqp_connection_state_t connection, int *verdict,
                                      struct osr_err *err)
{
    amqp_socket_t *socket = amqp_ssl_socket_new(connection);
    if (socket == NULL) {
        osr_amqp_status_failure(url, "cannot begin TLS", AMQP_STATUS_SSL_ERROR, err);
        return NULL;
    }
    SSL_CTX *tls = amqp_ssl_socket_get_context(socket);
    bool has_ca = login->ca_file != NULL
                      ? amqp_ssl_socket_set_cacert(socket, login->ca_file) == AMQP_STATUS_OK
                      : SSL_CTX_set_default_verify_paths(tls) == 1;
    if (!has_ca) {
        osr_err_set(err, OSR_CONFIG, "%s: no certificate of a CA in %s", url->text,
                    login->ca_file != NULL ? login->ca_file : "the system's folder");
        return NULL;
    }
    SSL_CTX_set_cert_verify_callback(tls, verify_and_note, verdict);
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 0); /* OpenSSL does it */
    osr_broker_tls_demand(tls, url->host);
    return socket;
}

static int open_socket(const struct osr_url *url, const struct osr_broker_login *login,
                       amqp_connection_state_t connection, struct osr_err *err)
{
    int verdict = X509_V_OK;
    amqp_socket_t *socket = NULL;
    if (login->is_secure) {
        socket = make_tls_socket(url, login, connection, &verdict, err);
        if (socket == NULL) {
            return (int)err->code;
        }
    } else {
        socket = amqp_tcp_socket_new(connection);
    }
    int status = amqp_socket_open_noblock(socket, url->host, url->port, &step_timeout);
    if (verdict != X509_V_OK) {
        return (int)osr_broker_tls_refusal(err, url->text, verdict);
    }
    if (status != AMQP_STATUS_OK) {
        return osr_amqp_status_failure(url, "cannot reach the broker", status, err);
    }
    return 0;
}

/* What the broker is to tell us beside what the library asks for by itself. */
static int login_with_capabilities(const struct osr_url *url, const struct osr_broker_login *login,
                                   amqp_connection_state_t connection, struct osr_err *err)
{
    const amqp_field_value_t yes = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = 1}};
    amqp_table_entry_t wanted[] = {
        {amqp_cstring_bytes("consumer_cancel_notify"), yes}, /* the queue was deleted */
        {amqp_cstring_bytes("connection.blocked"), yes},     /* out of memory or disk */
        {amqp_cstring_bytes("publisher_confirms"), yes},
        {amqp_cstring_bytes("basic.nack"), yes},
    };
    amqp_table_entry_t properties[] = {
        {amqp_cstring_bytes("capabilities"),
         {.kind = AMQP_FIELD_KIND_TABLE,
          .value = {.table = {.num_entries = sizeof(wanted) / sizeof(wanted[0]),
                              .entries = wanted}}}},
        {amqp_cstring_bytes("product"),
         {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes("osiris")}}},
    };
    const amqp_table_t table = {.num_entries = sizeof(properties) / sizeof(properties[0]),
                                .entries = properties};
    const char *vhost = osr_url_parameter(url, "vhost");
    const char *password = login->password.size > 0 ? (const char *)login->password.data : "";
    amqp_rpc_reply_t reply = amqp_login_with_properties(
        connection, vhost != NULL ? vhost : AMQP_DEFAULT_VHOST, 1, AMQP_DEFAULT_FRAME_SIZE,
        OSR_AMQP_HEARTBEAT_S, &table, AMQP_SASL_METHOD_PLAIN,
        login->user != NULL ? login->user : "guest", login->user != NULL ? password : "guest");
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        osr_amqp_reply_failure(url, "no login", &reply, err);
        osr_err_hint(err, "is it a broker for AMQP 0-9-1 that listens at port %u%s?", url->port,
                     login->is_secure ? "" : ", without TLS");
        return err->code;
    }
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        return osr_amqp_reply_failure(url, "the broker refuses the login", &reply, err);
    }
    return 0;
}

int osr_amqp_connect(const struct osr_url *url, const struct osr_broker_login *login,
                     amqp_connection_state_t *ret_connection, struct osr_err *err)
{
    amqp_connection_state_t connection = amqp_new_connection();
    if (connection == NULL) {
        return osr_amqp_status_failure(url, "cannot begin", AMQP_STATUS_NO_MEMORY, err);
    }
    amqp_set_handshake_timeout(connection, &step_timeout);
    amqp_set_rpc_timeout(connection, &step_timeout);
    int code = open_socket(url, login, connection, err);
    if (code == 0) {
        code = login_with_capabilities(url, login, connection, err);
    }
    if (code != 0) {
        amqp_destroy_connection(connection);
        return code;
    }
    *ret_connection = connection;
    return 0;
}
