/* input.h -- a fuzzer's input, taken from the front; at its end come zeroes, and no bytes. */
#ifndef OSR_TESTS_INPUT_H
#define OSR_TESTS_INPUT_H

#include "base/bytes.h"

static uint8_t take_byte(struct osr_slice *input)
{
    if (input->size == 0) {
        return 0;
    }
    uint8_t byte = input->data[0];
    *input = osr_slice(input->data + 1, input->size - 1);
    return byte;
}

/* At most so many as there are. */
static struct osr_slice take_bytes(struct osr_slice *input, size_t size)
{
    struct osr_slice bytes = osr_slice(input->data, size < input->size ? size : input->size);
    *input = osr_slice(input->data + bytes.size, input->size - bytes.size);
    return bytes;
}

#endif
