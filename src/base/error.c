#include "base/error.h"

#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct osr_code_info *osr_code_info(enum osr_code code)
{
    static const struct osr_code_info infos[] = {
#define OSR_CODE_ROW(name, number, class, grpc, http, exit, text)                                  \
    [number] = {#name, OSR_CLASS_##class, grpc, http, exit, text},
        OSR_CODES(OSR_CODE_ROW)
#undef OSR_CODE_ROW
    };
    _Static_assert(sizeof(infos) / sizeof(infos[0]) == OSR_CODE_COUNT, "a row for each code");
    return &infos[(unsigned)code < OSR_CODE_COUNT ? code : OSR_INTERNAL];
}

/* Messages quote what peers and files said. */
static void fill(char *text, size_t size, const char *format, va_list arguments)
{
    vsnprintf(text, size, format, arguments);
    osr_text_make_plain(text, size);
}

enum osr_code osr_err_set(struct osr_err *err, enum osr_code code, const char *format, ...)
{
    assert(code != OSR_OK);
    if (err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        fill(err->message, sizeof(err->message), format, arguments);
        va_end(arguments);
        err->code = code;
        err->hint[0] = '\0';
    }
    return code;
}

static enum osr_code code_of_errno(int errno_value, enum osr_code otherwise)
{
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
        return OSR_DISK_FULL;
    case EADDRINUSE:
        return OSR_IN_USE;
    default:
        return otherwise;
    }
}

enum osr_code osr_err_errno(struct osr_err *err, enum osr_code code, int errno_value,
                            const char *format, ...)
{
    char what[OSR_ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);

    char reason[128];
    return osr_err_set(err, code_of_errno(errno_value, code), "%s: %s", what,
                       strerror_r(errno_value, reason, sizeof(reason)));
}

void osr_err_hint(struct osr_err *err, const char *format, ...)
{
    if (err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        fill(err->hint, sizeof(err->hint), format, arguments);
        va_end(arguments);
    }
}

enum osr_code osr_err_prefix(struct osr_err *err, const char *format, ...)
{
    if (err == NULL) {
        return OSR_INTERNAL;
    }
    char prefix[OSR_ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(prefix, sizeof(prefix), format, arguments);
    va_end(arguments);

    char message[OSR_ERR_MESSAGE_MAX];
    int length = snprintf(message, sizeof(message), "%s: %s", prefix, err->message);
    assert(length >= 0); /* longer than the message may be: cut, as the header says */
    memcpy(err->message, message, sizeof(message));
    osr_text_make_plain(err->message, sizeof(err->message));
    return err->code;
}
