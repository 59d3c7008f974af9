/* grpc_side.h -- one side of a gRPC connection for tests: remembers what it has heard of each
 * call, and answers as its `service` says. Two of them make a pair, joined by bytes. */
#ifndef OSR_TESTS_GRPC_SIDE_H
#define OSR_TESTS_GRPC_SIDE_H

#include "wire/grpc.h"

enum {
    GRPC_SIDE_CALLS_MAX = 2048,
    GRPC_SIDE_MESSAGE_BYTES_MAX = 4 << 20,
    GRPC_SIDE_NOW_MS = 1000,
};

struct grpc_side;

/* What a side has heard of one call. */
struct grpc_heard {
    struct grpc_side *side;
    struct osr_grpc_call *call; /* NULL before and after it is there */
    char path[64];
    uint64_t deadline_ms;
    char headers[256];  /* "name=value;" for each custom one */
    char trailers[256]; /* likewise */
    struct osr_buffer last_message;
    size_t messages;
    uint64_t message_bytes;
    size_t half_closes;
    size_t rooms;
    size_t ends;
    struct osr_grpc_end end; /* without its slices */
    char message[128];
    char details[128];
    uint64_t number; /* the service's */
};

/* NULL: nothing is done. */
struct grpc_service {
    void (*on_call)(struct grpc_heard *heard);
    void (*on_message)(struct grpc_heard *heard, struct osr_slice message);
    void (*on_half_close)(struct grpc_heard *heard);
    void (*on_room)(struct grpc_heard *heard);
    void (*on_end)(struct grpc_heard *heard);
};

struct grpc_side {
    struct osr_grpc *grpc;
    struct grpc_service service;
    struct grpc_heard heard[GRPC_SIDE_CALLS_MAX]; /* in order */
    size_t count;
    size_t ends;
    size_t going_away;
    bool has_failed; /* osr_grpc_receive did */
};

/* `options` say which side it is. */
struct grpc_side *grpc_side_create(const struct osr_grpc_options *options);
void grpc_side_destroy(struct grpc_side *side);
struct grpc_heard *grpc_side_start(struct grpc_side *side, const struct osr_grpc_head *head);
/* A call without metadata and deadline. */
struct grpc_heard *grpc_side_call(struct grpc_side *side);

void grpc_send(struct grpc_heard *heard, struct osr_slice message);
void grpc_send_text(struct grpc_heard *heard, const char *text);
/* For services: the message back; OK. */
void grpc_echo(struct grpc_heard *heard, struct osr_slice message);
void grpc_finish_ok(struct grpc_heard *heard);
/* From the start nothing is taken. */
void grpc_hold(struct grpc_heard *heard);

struct grpc_pair {
    struct grpc_side *server;
    struct grpc_side *client;
    uint64_t now_ms;
    size_t piece;   /* bytes given to the other side at a time */
    size_t portion; /* bytes asked of osr_grpc_produce at a time */
};

/* options may be NULL. */
struct grpc_pair grpc_pair_create(const struct osr_grpc_options *server,
                                  const struct osr_grpc_options *client);
void grpc_pair_destroy(struct grpc_pair *pair);
/* Moves bytes both ways until there are none. */
void grpc_pair_run(struct grpc_pair *pair);
/* One portion, one way; false where there was none. */
bool grpc_pair_move(struct grpc_pair *pair, struct grpc_side *from, struct grpc_side *to);
/* Time passes: both tick, and run. */
void grpc_pair_pass(struct grpc_pair *pair, uint64_t ms);

#endif
