#include "lib/grpc_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

int grpc_pair_set_up(void **state)
{
    struct grpc_pair *pair = osr_alloc(sizeof(*pair));
    *pair = grpc_pair_create(NULL, NULL);
    *state = pair;
    return 0;
}

int grpc_pair_tear_down(void **state)
{
    struct grpc_pair *pair = *state;
    grpc_pair_destroy(pair);
    free(pair);
    return 0;
}

struct osr_grpc_head grpc_head(const char *path)
{
    return (struct osr_grpc_head){.path = osr_slice_text(path), .deadline_ms = UINT64_MAX};
}

void assert_ended(const struct grpc_heard *heard, enum osr_grpc_code code)
{
    assert_int_equal(heard->ends, 1);
    assert_int_equal(heard->end.code, code);
}

void assert_echoes(struct grpc_pair *pair, const char *text)
{
    struct grpc_heard *call = grpc_side_call(pair->client);
    assert_non_null(call);
    grpc_send_text(call, text);
    osr_grpc_half_close(call->call);
    grpc_pair_run(pair);
    assert_ended(call, OSR_GRPC_OK);
    assert_int_equal(call->messages, 1);
    assert_int_equal(call->last_message.size, strlen(text));
    assert_memory_equal(call->last_message.data, text, strlen(text));
}

void grpc_stream_on(struct grpc_heard *heard)
{
    static const uint8_t message[GRPC_STREAMED_BYTES] = {0};
    while (heard->number < GRPC_STREAMED && !osr_grpc_is_full(heard->call)) {
        heard->number++;
        grpc_send(heard, osr_slice(message, sizeof(message)));
    }
    if (heard->number == GRPC_STREAMED) {
        heard->number++;
        grpc_finish_ok(heard);
    }
}

const struct grpc_service grpc_streaming = {.on_half_close = grpc_stream_on,
                                            .on_room = grpc_stream_on};
