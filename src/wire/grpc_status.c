#include "wire/grpc_status.h"

#include "base/text.h"

#include <inttypes.h>
#include <nghttp2/nghttp2.h>

/* ---- codes ---- */

const char *osr_grpc_code_name(int code)
{
    static const char *const names[] = {
        [OSR_GRPC_OK] = "OK",
        [OSR_GRPC_CANCELLED] = "CANCELLED",
        [OSR_GRPC_UNKNOWN] = "UNKNOWN",
        [OSR_GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [OSR_GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [OSR_GRPC_NOT_FOUND] = "NOT_FOUND",
        [OSR_GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [OSR_GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [OSR_GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [OSR_GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [OSR_GRPC_ABORTED] = "ABORTED",
        [OSR_GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [OSR_GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [OSR_GRPC_INTERNAL] = "INTERNAL",
        [OSR_GRPC_UNAVAILABLE] = "UNAVAILABLE",
        [OSR_GRPC_DATA_LOSS] = "DATA_LOSS",
        [OSR_GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };
    _Static_assert(sizeof(names) / sizeof(names[0]) == OSR_GRPC_CODE_COUNT, "a name for each");
    return names[code >= 0 && code < OSR_GRPC_CODE_COUNT ? code : OSR_GRPC_UNKNOWN];
}

/* As gRPC's "HTTP to gRPC Status Code Mapping" has it: a proxy said this, not a gRPC server. */
enum osr_grpc_code osr_grpc_code_from_http(int http_status)
{
    switch (http_status) {
    case 400:
        return OSR_GRPC_INTERNAL;
    case 401:
        return OSR_GRPC_UNAUTHENTICATED;
    case 403:
        return OSR_GRPC_PERMISSION_DENIED;
    case 404:
        return OSR_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return OSR_GRPC_UNAVAILABLE;
    default:
        return OSR_GRPC_UNKNOWN;
    }
}

enum osr_grpc_code osr_grpc_code_from_reset(uint32_t http2_error)
{
    switch (http2_error) {
    case NGHTTP2_REFUSED_STREAM:
        return OSR_GRPC_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return OSR_GRPC_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return OSR_GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return OSR_GRPC_PERMISSION_DENIED;
    default:
        return OSR_GRPC_INTERNAL;
    }
}

/* The number that the digits make. False where there are none, or something else, or where it is
 * over `most`. */
static bool parse_number(struct osr_slice digits, uint64_t most, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(digits.data[i] - '0');
        if (number > most) {
            return false;
        }
    }
    *ret_number = number;
    return digits.size > 0;
}

enum osr_grpc_code osr_grpc_code_parse(struct osr_slice text)
{
    uint64_t code;
    bool is_code = parse_number(text, OSR_GRPC_CODE_COUNT - 1, &code);
    return is_code ? (enum osr_grpc_code)code : OSR_GRPC_UNKNOWN;
}

/* ---- grpc-timeout ---- */

enum { TIMEOUT_DIGITS_MAX = 8, TIMEOUT_NUMBER_MAX = 99999999 };

/* One unit is multiplier / divisor milliseconds; the finest comes first. */
struct timeout_unit {
    char name;
    uint32_t multiplier;
    uint32_t divisor;
};

static const struct timeout_unit timeout_units[] = {
    {'n', 1, 1000000}, {'u', 1, 1000},      {'m', 1, 1},
    {'S', 1000, 1},    {'M', 60 * 1000, 1}, {'H', 3600 * 1000, 1},
};

enum {
    TIMEOUT_UNITS = sizeof(timeout_units) / sizeof(timeout_units[0]),
    TIMEOUT_UNIT_MILLISECOND = 2,
};

static uint64_t divide_up(uint64_t number, uint64_t divisor)
{
    return number / divisor + (number % divisor != 0);
}

bool osr_grpc_timeout_parse(struct osr_slice text, uint64_t *ret_timeout_ms)
{
    uint64_t number;
    if (text.size < 2 || text.size > TIMEOUT_DIGITS_MAX + 1 ||
        !parse_number(osr_slice(text.data, text.size - 1), TIMEOUT_NUMBER_MAX, &number)) {
        return false;
    }
    for (size_t i = 0; i < TIMEOUT_UNITS; i++) {
        const struct timeout_unit *unit = &timeout_units[i];
        if (text.data[text.size - 1] == (uint8_t)unit->name) {
            *ret_timeout_ms = divide_up(number * unit->multiplier, unit->divisor);
            return true;
        }
    }
    return false;
}

/* In the finest unit in which it has few enough digits. */
void osr_grpc_timeout_write(struct osr_buffer *buffer, uint64_t timeout_ms)
{
    const struct timeout_unit *unit = &timeout_units[TIMEOUT_UNIT_MILLISECOND];
    const struct timeout_unit *coarsest = &timeout_units[TIMEOUT_UNITS - 1];
    while (divide_up(timeout_ms, unit->multiplier) > TIMEOUT_NUMBER_MAX && unit < coarsest) {
        unit++;
    }
    uint64_t number = divide_up(timeout_ms, unit->multiplier);
    osr_buffer_add_format(buffer, "%" PRIu64 "%c",
                          number < TIMEOUT_NUMBER_MAX ? number : TIMEOUT_NUMBER_MAX, unit->name);
}

/* ---- grpc-message ---- */

static bool is_sent_as_is(uint8_t byte)
{
    return byte >= 0x20 && byte <= 0x7e && byte != '%';
}

void osr_grpc_message_text_write(struct osr_buffer *buffer, struct osr_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (is_sent_as_is(byte)) {
            osr_buffer_add_u8(buffer, byte);
        } else {
            const char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
            osr_buffer_add(buffer, escape, sizeof(escape));
        }
    }
}

/* The byte that an escape at the front stands for; -1 where there is none. */
static int read_escape(const uint8_t *at, size_t left)
{
    if (left < 3 || at[0] != '%') {
        return -1;
    }
    int high = osr_hex_value(at[1]);
    int low = osr_hex_value(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void osr_grpc_message_text_parse(struct osr_buffer *buffer, struct osr_slice text)
{
    for (size_t i = 0; i < text.size;) {
        int escaped = read_escape(text.data + i, text.size - i);
        osr_buffer_add_u8(buffer, escaped < 0 ? text.data[i] : (uint8_t)escaped);
        i += escaped < 0 ? 1 : 3;
    }
}
