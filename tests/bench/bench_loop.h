/* bench_loop.h -- what the programs on libuv's default loop share: one read at a time, so that all
 * connections share the room for it, and a server's main. */
#ifndef OSR_TESTS_BENCH_LOOP_H
#define OSR_TESTS_BENCH_LOOP_H

#include "adapter/transport.h"

enum { BENCH_ROOM_BYTES = 256 << 10 };

/* What was read last. */
extern uint8_t bench_room[BENCH_ROOM_BYTES];
/* A connection's on_room. */
uint8_t *bench_give_room(void *context, size_t suggested, size_t *ret_size);
/* Listens on a port of 127.0.0.1 and serves until it is killed; the program's exit status. */
int bench_serve(const char *program, const char *port,
                void (*on_accept)(void *context, struct osr_connection *connection));

#endif
