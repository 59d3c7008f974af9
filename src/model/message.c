/* message.c -- holds the error codes of the contract and those of base/error.h together. */
#include "model/message.h"

#include "base/error.h"

#define OSR_CODE_IS_THE_SAME(name, number, class, grpc, http, exit, text)                          \
    _Static_assert((int)OSR__CODE__##name == (int)OSR_##name, #name);
OSR_CODES(OSR_CODE_IS_THE_SAME)

_Static_assert(OSR_CODE_COUNT == 29, "a new code stands in error.proto as well");
