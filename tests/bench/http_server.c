/* http_server.c -- a stand-in for an HTTP/1.1 interface: answers GET of a document from memory.
 *
 * usage: http_server PORT FILE     (a line of FILE: ID, a space, the document's JSON)
 *
 * It only parses and copies; whatever an instance does beside that it spares itself. */
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "bench_documents.h"
#include "bench_loop.h"

enum { PATH_BYTES_MAX = 256 };

struct peer {
    llhttp_t http;
    char path[PATH_BYTES_MAX]; /* of the request that is coming */
    size_t path_bytes;
    struct osr_buffer output;
};

static struct osr_map *documents; /* id to osr_buffer */

static void load(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    documents = osr_map_create(0);
    while ((size = getline(&line, &capacity, file)) > 0) {
        char *json = strchr(line, ' ') + 1;
        struct osr_buffer *document = osr_alloc(sizeof(*document));
        osr_buffer_add(document, json, (size_t)(line + size - json) - 1);
        osr_map_put(documents, osr_slice(line, (size_t)(json - line) - 1), document);
    }
    free(line);
    fclose(file);
}

/* ---- requests ---- */

static int on_url(llhttp_t *http, const char *data, size_t size)
{
    struct peer *peer = http->data;
    if (peer->path_bytes + size > sizeof(peer->path)) {
        return -1;
    }
    memcpy(peer->path + peer->path_bytes, data, size);
    peer->path_bytes += size;
    return 0;
}

static const struct osr_buffer *find(const struct peer *peer)
{
    static const char prefix[] = BENCH_HTTP_PATH;
    const size_t skip = sizeof(prefix) - 1;
    if (peer->path_bytes < skip || memcmp(peer->path, prefix, skip) != 0) {
        return NULL;
    }
    return osr_map_get(documents, osr_slice(peer->path + skip, peer->path_bytes - skip));
}

static int on_complete(llhttp_t *http)
{
    struct peer *peer = http->data;
    const struct osr_buffer *document = find(peer);
    peer->path_bytes = 0;
    if (document == NULL) {
        osr_buffer_add_text(&peer->output, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return 0;
    }
    osr_buffer_add_format(&peer->output,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          document->size);
    osr_buffer_add(&peer->output, document->data, document->size);
    return 0;
}

/* ---- connections ---- */

static void on_read(void *context, struct osr_connection *connection, size_t size)
{
    struct peer *peer = context;
    llhttp_errno_t failure = llhttp_execute(&peer->http, (const char *)bench_room, size);
    if (peer->output.size > 0) {
        osr_connection_write(connection, &peer->output);
        osr_connection_flush(connection);
    }
    if (failure != HPE_OK) {
        osr_connection_close(connection, false);
    }
}

static void on_close(void *context, struct osr_connection *connection, const struct osr_err *err)
{
    struct peer *peer = context;
    (void)connection;
    (void)err;
    osr_buffer_done(&peer->output);
    free(peer);
}

static void on_accept(void *context, struct osr_connection *connection)
{
    static const struct osr_connection_handler handler = {
        .on_room = bench_give_room, .on_read = on_read, .on_close = on_close};
    static llhttp_settings_t settings;
    struct peer *peer = osr_alloc(sizeof(*peer));
    (void)context;
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_message_complete = on_complete;
    llhttp_init(&peer->http, HTTP_REQUEST, &settings);
    peer->http.data = peer;
    osr_connection_accept(connection, &handler, peer);
    osr_connection_read(connection, true);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: http_server PORT FILE\n");
        return 64;
    }
    load(argv[2]);
    return bench_serve("http_server", argv[1], on_accept);
}
