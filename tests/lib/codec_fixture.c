#include "lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARENA_CAP ((size_t)OSR_DECODE_BYTES_MAX)

int codec_set_up(void **state)
{
    struct codec_fixture *fixture = osr_alloc(sizeof(*fixture));
    osr_random_init(&fixture->maker.random, 2024);
    fixture->maker.arena = osr_arena_create(1 << 20, ARENA_CAP);
    fixture->arena = osr_arena_create(1 << 20, ARENA_CAP);
    *state = fixture;
    return 0;
}

int codec_tear_down(void **state)
{
    struct codec_fixture *fixture = *state;
    osr_arena_destroy(fixture->maker.arena);
    osr_arena_destroy(fixture->arena);
    osr_buffer_done(&fixture->bytes);
    osr_buffer_done(&fixture->again);
    free(fixture);
    return 0;
}

int codec_decode(struct codec_fixture *fixture, enum osr_codec codec, struct osr_slice bytes)
{
    osr_arena_reset(fixture->arena);
    fixture->frame = NULL;
    fixture->request_id = 4711;
    /* A copy of just that size, so that reading past it is noticed. */
    uint8_t *exact = malloc(bytes.size > 0 ? bytes.size : 1);
    memcpy(exact, bytes.size > 0 ? bytes.data : (const uint8_t *)"", bytes.size);
    int code = osr_frame_decode(codec, osr_slice(exact, bytes.size), fixture->arena,
                                &fixture->frame, &fixture->request_id, &fixture->err);
    free(exact); /* what was decoded does not point into the input */
    if (code != 0) {
        assert_int_equal(fixture->err.code, code);
    }
    return code;
}

void assert_encodes_as(struct codec_fixture *fixture, const char *text)
{
    fixture->again.size = 0;
    osr_frame_encode(OSR_CODEC_JSON, fixture->frame, &fixture->again);
    osr_buffer_add_u8(&fixture->again, 0);
    assert_string_equal((char *)fixture->again.data, text);
}

/* ---- protobuf by hand ---- */

static void add_varint(struct osr_buffer *buffer, uint64_t number)
{
    for (; number >= 0x80; number >>= 7) {
        osr_buffer_add_u8(buffer, (uint8_t)(number | 0x80));
    }
    osr_buffer_add_u8(buffer, (uint8_t)number);
}

void codec_add_field(struct osr_buffer *buffer, uint32_t id, struct osr_slice bytes)
{
    add_varint(buffer, (uint64_t)id << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
    add_varint(buffer, bytes.size);
    osr_buffer_add(buffer, bytes.data, bytes.size);
}

struct osr_slice codec_wrapped(struct codec_fixture *fixture, const uint32_t *ids,
                               struct osr_slice inner)
{
    fixture->bytes.size = 0;
    osr_buffer_add(&fixture->bytes, inner.data, inner.size);
    for (; *ids != 0; ids++) {
        fixture->again.size = 0;
        codec_add_field(&fixture->again, *ids, osr_buffer_slice(&fixture->bytes));
        fixture->bytes.size = 0;
        osr_buffer_add(&fixture->bytes, fixture->again.data, fixture->again.size);
    }
    return osr_buffer_slice(&fixture->bytes);
}
