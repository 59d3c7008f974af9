/* http_refusal.h -- what a client of plain HTTP/1.x is told that has come to a port where frames
 * and gRPC are spoken: an answer that its tools show, rather than silence. */
#ifndef OSR_WIRE_HTTP_REFUSAL_H
#define OSR_WIRE_HTTP_REFUSAL_H

#include "base/bytes.h"

#include <stdbool.h>

/* The first bytes of a connection begin a request line: a method and a space (RFC 9112, 3). No
 * frame of ours begins so. */
bool osr_http_is_request(struct osr_slice bytes);
/* Appends the whole answer, 415 Unsupported Media Type; close behind it. */
void osr_http_write_refusal(struct osr_buffer *output);

#endif
