/* http2_literals.h -- frames as they stand on the wire, for tables of cases: a frame's length
 * (three bytes), type, flags and stream; the payload follows as another literal. */
#ifndef OSR_TESTS_HTTP2_LITERALS_H
#define OSR_TESTS_HTTP2_LITERALS_H

#define ON_0 "\x00\x00\x00\x00"
#define ON_1 "\x00\x00\x00\x01"
#define ON_3 "\x00\x00\x00\x03"

/* A literal and its size, those behind a NUL too. */
#define BYTES(literal) literal, sizeof(literal) - 1

/* HPACK: :method POST, :scheme http from the static table (RFC 7541, appendix A). */
#define POST_HTTP "\x83\x86"

/* HPACK: :status 200 from the static table, and content-type (31) application/grpc. */
#define STATUS_200 "\x88"
#define GRPC_TYPE                                                                                  \
    "\x0f\x10\x10"                                                                                 \
    "application/grpc"

#endif
