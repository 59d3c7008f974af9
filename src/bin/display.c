#include "bin/display.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <time.h>
#include <wchar.h>

#include "base/json_scan.h"

/* The C library knows how wide characters are, but only in a UTF-8 locale, which the user's need
 * not be: documents are UTF-8 all the same. */
static void use_utf8(void)
{
    static bool done;
    if (done) {
        return;
    }
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 != (locale_t)0) {
        uselocale(utf8);
    }
    done = true;
}

/* Reads the character at the front; bytes that are none count as U+FFFD, one at a time. */
static wchar_t next_character(struct osr_slice text, size_t *ret_size)
{
    use_utf8();
    wchar_t character;
    mbstate_t state = {0};
    size_t size = mbrtowc(&character, (const char *)text.data, text.size, &state);
    if (size == (size_t)-1 || size == (size_t)-2) {
        *ret_size = 1;
        return 0xfffd;
    }
    *ret_size = size == 0 ? 1 : size; /* NUL */
    return character;
}

static bool is_line_space(wchar_t character)
{
    return character == '\n' || character == '\t' || character == '\r';
}

/* C0, DEL, C1, and the marks that turn the direction of writing around. */
static bool is_obeyed(wchar_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfffd;
}

void osr_display_clean(struct osr_buffer *buffer, struct osr_slice text, enum osr_display display)
{
    while (text.size > 0) {
        size_t size;
        wchar_t character = next_character(text, &size);
        if (is_line_space(character) && display == OSR_DISPLAY_ONE_LINE) {
            osr_buffer_add_u8(buffer, ' ');
        } else if (is_obeyed(character) && !(is_line_space(character) && character != '\r')) {
            osr_buffer_add_text(buffer, "\xef\xbf\xbd");
        } else {
            osr_buffer_add(buffer, text.data, size);
        }
        text = osr_slice(text.data + size, text.size - size);
    }
}

void osr_display_data(struct osr_buffer *buffer, const Osr__Json *data, enum osr_display display)
{
    if (data == NULL) {
        return;
    }
    struct osr_slice text = osr_slice(data->text.data, data->text.len);
    struct osr_buffer plain = {0};
    bool is_string = text.size >= 2 && text.data[0] == '"';
    /* What cannot be unescaped (a lone surrogate) is shown as it is written. */
    if (is_string &&
        osr_json_unescape(&plain, osr_slice(text.data + 1, text.size - 2), NULL) == 0) {
        text = osr_buffer_slice(&plain);
    }
    osr_display_clean(buffer, text, display);
    osr_buffer_done(&plain);
}

static size_t character_width(wchar_t character)
{
    int width = wcwidth(character);
    return width < 0 ? 1 : (size_t)width;
}

size_t osr_display_width(struct osr_slice text)
{
    size_t width = 0;
    while (text.size > 0) {
        size_t size;
        width += character_width(next_character(text, &size));
        text = osr_slice(text.data + size, text.size - size);
    }
    return width;
}

size_t osr_display_fit(struct osr_slice text, size_t columns)
{
    size_t at = 0;
    while (at < text.size) {
        size_t size;
        size_t width =
            character_width(next_character(osr_slice(text.data + at, text.size - at), &size));
        if (width > columns) {
            break;
        }
        columns -= width;
        at += size;
    }
    return at;
}

char *osr_display_number(char *text, uint64_t number)
{
    char digits[24];
    int count = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    char *at = text;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) {
            *at++ = ',';
        }
        *at++ = digits[i];
    }
    *at = '\0';
    return text;
}

char *osr_display_time(char *text, uint64_t time_ms)
{
    text[0] = '\0';
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm local;
    if (time_ms == 0 || localtime_r(&seconds, &local) == NULL ||
        strftime(text, OSR_DISPLAY_TIME_CHARS, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        text[0] = '\0';
    }
    return text;
}

char *osr_display_size(char *text, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        amount /= 1024;
        unit++;
    }
    snprintf(text, OSR_DISPLAY_SIZE_CHARS, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
    return text;
}
