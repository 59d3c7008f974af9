/* A connection to a URL, as a program: for clients that do not speak its carrier.
 *
 * usage: transport_probe [-a FILE] [-c FILE] [-k FILE] [-p PROTOCOL] URL
 *
 * -a: PEM of whom it believes; -c: PEM of a key and its certificate, to be shown; -k: a shared key
 * instead (shared_keys.h); -p: the one application protocol that it names.
 *
 * Standard input and output are the two directions of one socket. The end of either side is the end
 * of both; why it was goes to standard error, as "CODE: MESSAGE". Ends with 0, however it was. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/shared_keys.h"
#include "adapter/transport.h"
#include "adapter/whole_file.h"

enum {
    ROOM_BYTES = 64 << 10,
    FILE_BYTES_MAX = 64 << 10,
    DIAL_MS = 10 * 1000,
    USAGE = 64, /* the exit status of who was called wrong */
};

struct probe {
    uv_tcp_t socket; /* standard input and output */
    uv_shutdown_t last_write;
    struct osr_connection *connection; /* NULL: closed */
    char input[ROOM_BYTES];
    uint8_t output[ROOM_BYTES];
};

struct piece {
    uv_write_t request;
    char data[];
};

/* ---- from the connection to the socket ---- */

static void on_written(uv_write_t *request, int status)
{
    (void)status;
    free(request); /* a piece's first member */
}

static void on_open(void *context, struct osr_connection *connection)
{
    (void)context;
    (void)connection;
}

static uint8_t *on_room(void *context, size_t suggested, size_t *ret_size)
{
    struct probe *probe = context;
    (void)suggested;
    *ret_size = sizeof(probe->output);
    return probe->output;
}

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct probe *probe = context;
    struct piece *piece = osr_alloc_unset(sizeof(*piece) + size);
    (void)connection;
    memcpy(piece->data, probe->output, size);
    const uv_buf_t buffer = uv_buf_init(piece->data, (unsigned)size);
    if (uv_write(&piece->request, (uv_stream_t *)&probe->socket, &buffer, 1, on_written) != 0) {
        free(piece);
    }
}

static void on_all_written(uv_shutdown_t *request, int status)
{
    (void)status;
    uv_close((uv_handle_t *)request->handle, NULL);
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct probe *probe = context;
    uv_stream_t *socket = (uv_stream_t *)&probe->socket;
    (void)connection;
    probe->connection = NULL;
    fprintf(stderr, "%s: %s\n", osr_code_info(err->code)->name, err->message);
    uv_read_stop(socket);
    if (uv_shutdown(&probe->last_write, socket, on_all_written) != 0) {
        uv_close((uv_handle_t *)socket, NULL);
    }
}

static const struct osr_connection_handler handler = {
    .on_open = on_open,
    .on_room = on_room,
    .on_read = on_read,
    .on_close = on_close,
};

/* ---- from the socket to the connection ---- */

static void on_input_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    struct probe *probe = handle->data;
    (void)suggested;
    *ret_buffer = uv_buf_init(probe->input, sizeof(probe->input));
}

static void on_input(uv_stream_t *socket, ssize_t size, const uv_buf_t *ret_buffer)
{
    struct probe *probe = socket->data;
    if (size > 0) {
        struct osr_buffer written = {0};
        osr_buffer_add(&written, ret_buffer->base, (size_t)size);
        osr_connection_write(probe->connection, &written);
    } else if (size < 0) {
        uv_read_stop(socket);
        osr_connection_close(probe->connection, false);
    }
}

/* ---- what it shows ---- */

struct shown {
    struct osr_buffer authorities;
    struct osr_buffer certificate; /* with its key */
    struct osr_buffer key_file;
    struct osr_shared_keys keys;
    const char *protocols[2];
};

static struct osr_buffer *file_of(struct shown *shown, int option)
{
    return option == 'a'   ? &shown->authorities
           : option == 'c' ? &shown->certificate
                           : &shown->key_file;
}

static int read_arguments(int count, char **arguments, struct shown *shown, struct osr_err *err)
{
    int code = 0;
    int option;
    while (code == 0 && (option = getopt(count, arguments, "a:c:k:p:")) != -1) {
        if (option == '?') {
            return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "see transport_probe.c");
        }
        if (option == 'p') {
            shown->protocols[0] = optarg;
        } else {
            code = osr_file_read_whole(optarg, FILE_BYTES_MAX, file_of(shown, option), err);
        }
    }
    if (code == 0) {
        code = osr_shared_keys_read(osr_buffer_slice(&shown->key_file), &shown->keys, err);
    }
    return code;
}

static int make_context(const struct osr_url *url, const struct shown *shown,
                        struct osr_tls_context **ret_context, struct osr_err *err)
{
    const struct osr_shared_key *first = &shown->keys.keys[0];
    const struct osr_tls_shared_key key = {first->name, osr_slice(first->secret, first->size)};
    bool has_key = shown->keys.count > 0;
    const struct osr_tls_options options = {
        .is_datagram = osr_transport_promises(url->scheme)->carrier == OSR_CARRIER_DATAGRAMS,
        .certificate_pem = osr_buffer_slice(&shown->certificate),
        .key_pem = osr_buffer_slice(&shown->certificate),
        .authorities_pem = osr_buffer_slice(&shown->authorities),
        .shared_keys = has_key ? &key : NULL,
        .shared_key_count = has_key ? 1 : 0,
        .proofs = 1u << (has_key ? OSR_TLS_PROOF_KEY : OSR_TLS_PROOF_CERTIFICATE),
        .protocols = shown->protocols,
    };
    return osr_tls_context_create(&options, ret_context, err);
}

static int dial(struct probe *probe, const char *text, const struct shown *shown,
                struct osr_err *err)
{
    struct osr_tls_context *security = NULL;
    struct osr_url url;
    int code = osr_url_parse(text, &url, err);
    if (code == 0) {
        code = make_context(&url, shown, &security, err);
    }
    if (code == 0) {
        code = osr_transport_dial(uv_default_loop(), &url, security, DIAL_MS, &handler, probe,
                                  &probe->connection, err);
    }
    osr_tls_context_release(security);
    return code;
}

static int open_socket(struct probe *probe, struct osr_err *err)
{
    uv_tcp_init(uv_default_loop(), &probe->socket);
    probe->socket.data = probe;
    if (uv_tcp_open(&probe->socket, STDIN_FILENO) != 0) {
        uv_close((uv_handle_t *)&probe->socket, NULL);
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "standard input is no socket");
    }
    uv_tcp_nodelay(&probe->socket, true);
    return 0;
}

static int start(struct probe *probe, const char *url, const struct shown *shown,
                 struct osr_err *err)
{
    int code = open_socket(probe, err);
    if (code != 0) {
        return code;
    }
    code = dial(probe, url, shown, err);
    if (code != 0) {
        uv_close((uv_handle_t *)&probe->socket, NULL);
        return code;
    }
    uv_read_start((uv_stream_t *)&probe->socket, on_input_room, on_input);
    return 0;
}

int main(int count, char **arguments)
{
    static struct probe probe;
    struct shown shown = {.protocols = {"osiris/1", NULL}};
    struct osr_err err;

    signal(SIGPIPE, SIG_IGN);
    int code = read_arguments(count, arguments, &shown, &err);
    if (code == 0 && optind == count - 1) {
        code = start(&probe, arguments[optind], &shown, &err);
    } else if (code == 0) {
        code = (int)osr_err_set(&err, OSR_INVALID_ARGUMENT, "one URL is wanted");
    }
    if (code != 0) {
        fprintf(stderr, "%s: %s\n", osr_code_info(err.code)->name, err.message);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
    osr_buffer_done(&shown.authorities);
    osr_buffer_wipe(&shown.certificate);
    osr_buffer_wipe(&shown.key_file);
    osr_shared_keys_wipe(&shown.keys);
    return code == 0 ? 0 : USAGE;
}
