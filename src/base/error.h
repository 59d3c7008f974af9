/* error.h -- every way in which something can go wrong, once.
 *
 * A function that can fail returns 0 or an enum osr_code, and fills `err` when it
 * fails. A layer that passes an error on puts what it was doing in front of the message
 * (osr_err_prefix). Libraries return errors, only main() and the loop log them.
 *
 * The numbers are those of osiris.v1.Code (proto/osiris/v1/error.proto); src/model
 * asserts that statically. */
#ifndef OSR_BASE_ERROR_H
#define OSR_BASE_ERROR_H

#include <stddef.h>

/* What a caller can do about it. */
enum osr_code_class {
    OSR_CLASS_OK,
    OSR_CLASS_RETRY,  /* the same call may succeed later */
    OSR_CLASS_CALLER, /* the call is wrong; repeating it does not help */
    OSR_CLASS_FATAL,  /* this instance needs its owner */
};

/* X(NAME, number, class, gRPC status, HTTP status, exit status, text)
 * Exit statuses are those of sysexits.h where one fits. */
#define OSR_CODES(X)                                                                               \
    X(OK, 0, OK, 0, 200, 0, "ok")                                                                  \
    X(INTERNAL, 1, FATAL, 13, 500, 70, "internal error")                                           \
    X(MALFORMED, 2, CALLER, 3, 400, 65, "malformed input")                                         \
    X(INVALID_ARGUMENT, 3, CALLER, 3, 400, 64, "invalid argument")                                 \
    X(TOO_LARGE, 4, CALLER, 8, 413, 65, "over a limit")                                            \
    X(UNKNOWN_TYPE, 5, CALLER, 12, 404, 64, "unknown type")                                        \
    X(NOT_FOUND, 6, CALLER, 5, 404, 1, "not found")                                                \
    X(ALREADY_EXISTS, 7, CALLER, 6, 409, 1, "already exists")                                      \
    X(UNAUTHENTICATED, 8, CALLER, 16, 401, 77, "not authenticated")                                \
    X(PERMISSION_DENIED, 9, CALLER, 7, 403, 77, "permission denied")                               \
    X(WRONG_CLUSTER, 10, CALLER, 9, 409, 78, "wrong cluster")                                      \
    X(DUPLICATE_IDENTITY, 11, FATAL, 9, 409, 78, "identity in use by two running instances")       \
    X(BAD_HASH, 12, CALLER, 15, 422, 65, "hash does not match")                                    \
    X(BAD_SIGNATURE, 13, CALLER, 15, 422, 65, "signature does not match")                          \
    X(SEQUENCE_GAP, 14, RETRY, 11, 409, 75, "entries missing")                                     \
    X(FORKED, 15, FATAL, 15, 409, 65, "feed forked")                                               \
    X(FLOW_CONTROL, 16, CALLER, 8, 429, 76, "window exceeded")                                     \
    X(BUSY, 17, RETRY, 14, 503, 75, "busy")                                                        \
    X(TIMEOUT, 18, RETRY, 4, 504, 75, "timed out")                                                 \
    X(UNAVAILABLE, 19, RETRY, 14, 503, 69, "unavailable")                                          \
    X(DISK_FULL, 20, RETRY, 8, 507, 73, "disk full")                                               \
    X(IO, 21, FATAL, 13, 500, 74, "input or output failed")                                        \
    X(CORRUPT, 22, FATAL, 15, 500, 65, "stored data is damaged")                                   \
    X(FOREIGN_FILE, 23, FATAL, 9, 500, 65, "not an Osiris file")                                   \
    X(IN_USE, 24, FATAL, 9, 409, 75, "already in use")                                             \
    X(CONFIG, 25, CALLER, 3, 400, 78, "configuration is wrong")                                    \
    X(UNSUPPORTED_VERSION, 26, CALLER, 12, 505, 76, "unsupported version")                         \
    X(CANCELLED, 27, RETRY, 1, 499, 130, "cancelled")                                              \
    X(CONFLICT, 28, CALLER, 9, 409, 1, "not in the expected state")

enum osr_code {
#define OSR_CODE_ENUM(name, number, class, grpc, http, exit, text) OSR_##name = number,
    OSR_CODES(OSR_CODE_ENUM)
#undef OSR_CODE_ENUM
        OSR_CODE_COUNT,
    OSR_CODE_NEVER = -1, /* makes it a signed type: functions return codes as int */
};

struct osr_code_info {
    const char *name; /* "DISK_FULL": stable, for programs */
    enum osr_code_class class;
    int grpc_status;
    int http_status;
    int exit_status;
    const char *text; /* for people */
};

/* Never NULL; an unknown number is described as INTERNAL. */
const struct osr_code_info *osr_code_info(enum osr_code code);

enum { OSR_ERR_MESSAGE_MAX = 512, OSR_ERR_HINT_MAX = 256 };

struct osr_err {
    enum osr_code code;
    /* Both are UTF-8 without control characters, whatever was put into them. */
    char message[OSR_ERR_MESSAGE_MAX]; /* what happened, where; cut if longer */
    char hint[OSR_ERR_HINT_MAX];       /* what to do next; may be empty */
};

/* Fills err (which may be NULL) and returns code. Clears the hint. */
enum osr_code osr_err_set(struct osr_err *err, enum osr_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like osr_err_set with ": " and the text of errno_value behind the message. ENOSPC and
 * EDQUOT become DISK_FULL, EADDRINUSE becomes IN_USE, whatever `code` says. */
enum osr_code osr_err_errno(struct osr_err *err, enum osr_code code, int errno_value,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Says what to do next. */
void osr_err_hint(struct osr_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "text: " in front of the message and returns err's code; INTERNAL where err is NULL, as
 * nobody knows it then. */
enum osr_code osr_err_prefix(struct osr_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
