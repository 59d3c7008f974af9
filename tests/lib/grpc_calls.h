/* grpc_calls.h -- calls of a pair of gRPC sides (grpc_side.h), and what tests expect of them. */
#ifndef OSR_TESTS_GRPC_CALLS_H
#define OSR_TESTS_GRPC_CALLS_H

#include "lib/grpc_side.h"

/* For cmocka: a server that echoes and a client, joined. */
int grpc_pair_set_up(void **state);
int grpc_pair_tear_down(void **state);

/* Of a call without a deadline. */
struct osr_grpc_head grpc_head(const char *path);
/* Once, with this status. */
void assert_ended(const struct grpc_heard *heard, enum osr_grpc_code code);
/* One call with one message each way. */
void assert_echoes(struct grpc_pair *pair, const char *text);

enum { GRPC_STREAMED = 2000, GRPC_STREAMED_BYTES = 1000 };

/* Sends as many messages as there is room for, then waits for on_room: pull-based, as services do.
 * After the last the call is OK. */
void grpc_stream_on(struct grpc_heard *heard);
/* Answers with that. */
extern const struct grpc_service grpc_streaming;

#endif
