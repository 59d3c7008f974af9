/* grpc_status.h -- gRPC's status codes, and its small texts in header fields: time-outs and
 * messages. From gRPC's "Status codes and their use in gRPC" and "gRPC over HTTP2". */
#ifndef OSR_WIRE_GRPC_STATUS_H
#define OSR_WIRE_GRPC_STATUS_H

#include "base/bytes.h"
#include "base/error.h"

enum osr_grpc_code {
    OSR_GRPC_OK,
    OSR_GRPC_CANCELLED,
    OSR_GRPC_UNKNOWN,
    OSR_GRPC_INVALID_ARGUMENT,
    OSR_GRPC_DEADLINE_EXCEEDED,
    OSR_GRPC_NOT_FOUND,
    OSR_GRPC_ALREADY_EXISTS,
    OSR_GRPC_PERMISSION_DENIED,
    OSR_GRPC_RESOURCE_EXHAUSTED,
    OSR_GRPC_FAILED_PRECONDITION,
    OSR_GRPC_ABORTED,
    OSR_GRPC_OUT_OF_RANGE,
    OSR_GRPC_UNIMPLEMENTED,
    OSR_GRPC_INTERNAL,
    OSR_GRPC_UNAVAILABLE,
    OSR_GRPC_DATA_LOSS,
    OSR_GRPC_UNAUTHENTICATED,
    OSR_GRPC_CODE_COUNT,
};

/* "NOT_FOUND"; "UNKNOWN" for what is no code. */
const char *osr_grpc_code_name(int code);
/* What a client makes of an answer without grpc-status. */
enum osr_grpc_code osr_grpc_code_from_http(int http_status);
/* ... and of a stream that was reset, by the HTTP/2 error code. */
enum osr_grpc_code osr_grpc_code_from_reset(uint32_t http2_error);
/* Of grpc-status: digits of a code; UNKNOWN for anything else. */
enum osr_grpc_code osr_grpc_code_parse(struct osr_slice text);

/* grpc-timeout: 1 to 8 digits and one of H M S m u n. Milliseconds, rounded up; false where it
 * is no time-out. */
bool osr_grpc_timeout_parse(struct osr_slice text, uint64_t *ret_timeout_ms);
void osr_grpc_timeout_write(struct osr_buffer *buffer, uint64_t timeout_ms);

/* grpc-message: everything but 0x20 to 0x7E, and '%', as %XX. Decoding leaves broken escapes as
 * they are, and replaces nothing else: the text may be any bytes. */
void osr_grpc_message_text_write(struct osr_buffer *buffer, struct osr_slice text);
void osr_grpc_message_text_parse(struct osr_buffer *buffer, struct osr_slice text);

/* grpc-status-details-bin: a google.rpc.Status with an ErrorInfo (reason: our code's name,
 * domain "osiris", metadata "hint" where there is one), and for errors of the RETRY class a
 * RetryInfo. The first is appended to the buffer encoded; the second reads it back (also what
 * other servers send: then the code follows from gRPC's, and the message is theirs). grpc_code
 * may be any number but OK. What cannot be read in details, or contradicts grpc_code, is ignored;
 * an empty message is replaced by the one in details or by the code's name. */
enum { OSR_GRPC_RETRY_DELAY_MS = 1000 };
void osr_grpc_details_write(struct osr_buffer *buffer, const struct osr_err *err);
void osr_grpc_error_read(int grpc_code, struct osr_slice message, struct osr_slice details,
                         struct osr_err *ret_err);
/* For how long the server asks to be left alone (RetryInfo); 0 where it does not say so. */
uint32_t osr_grpc_retry_read(struct osr_slice details);

#endif
