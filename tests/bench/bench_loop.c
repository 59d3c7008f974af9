#include "bench_loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

uint8_t bench_room[BENCH_ROOM_BYTES];

uint8_t *bench_give_room(void *context, size_t suggested, size_t *ret_size)
{
    (void)context;
    (void)suggested;
    *ret_size = sizeof(bench_room);
    return bench_room;
}

int bench_serve(const char *program, const char *port,
                void (*on_accept)(void *context, struct osr_connection *connection))
{
    struct osr_url url;
    struct osr_listener *listener;
    struct osr_err err;
    signal(SIGPIPE, SIG_IGN);
    char *text = osr_format("tcp://127.0.0.1:%s", port);
    if (osr_url_parse(text, &url, &err) != 0 ||
        osr_transport_listen(uv_default_loop(), &url, NULL, on_accept, NULL, &listener, &err) !=
            0) {
        fprintf(stderr, "%s: %s\n", program, err.message);
        return EXIT_FAILURE;
    }
    free(text);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
