#include "adapter/search_text.h"

#include "base/json_scan.h"

enum { BEFORE_BYTES = 40 }; /* of the text before the first match in a snippet */

static void begin_word(struct osr_buffer *text)
{
    if (text->size > 0) {
        osr_buffer_add_u8(text, ' ');
    }
}

static void add_words(struct osr_buffer *text, const char *words)
{
    if (words[0] != '\0') {
        begin_word(text);
        osr_buffer_add_text(text, words);
    }
}

static void add_string(struct osr_buffer *text, const struct osr_json *json)
{
    begin_word(text);
    /* What cannot be unescaped (NUL, half a surrogate pair) is searched as it is written. */
    if (json->odd || osr_json_unescape(text, json->text, NULL) != 0) {
        osr_buffer_add(text, json->text.data, json->text.size);
    }
}

static void add_data(struct osr_buffer *text, const Osr__Json *data)
{
    struct osr_json json;
    osr_json_init(&json, osr_slice(data->text.data, data->text.len));
    enum osr_json_token token;
    do {
        token = osr_json_next(&json, NULL);
        if (token == OSR_JSON_STRING) {
            add_string(text, &json);
        }
    } while (token != OSR_JSON_END && token != OSR_JSON_ERROR);
}

void osr_search_text(struct osr_buffer *text, const Osr__Document *document)
{
    if (document->data != NULL) {
        add_data(text, document->data);
    }
    add_words(text, document->kind);
    for (size_t i = 0; i < document->n_tags; i++) {
        add_words(text, document->tags[i]);
    }
}

/* ---- snippets ---- */

static bool is_inside_character(struct osr_slice text, size_t at)
{
    return at < text.size && (text.data[at] & 0xc0) == 0x80;
}

/* The first of the matches around which most others are. */
static size_t best_match(const struct osr_search_match *matches, size_t count)
{
    size_t best = 0;
    size_t best_count = 0;
    size_t end = 0; /* of those that fit into a snippet with match i */
    for (size_t i = 0; i < count; i++) {
        size_t reach = matches[i].begin + OSR_SEARCH_SNIPPET_BYTES - BEFORE_BYTES;
        while (end < count && matches[end].end <= reach) {
            end++;
        }
        if (end > i && end - i > best_count) {
            best = i;
            best_count = end - i;
        }
    }
    return best;
}

/* Some text before `at`, beginning with a word where one begins there. */
static size_t snippet_begin(struct osr_slice text, size_t at)
{
    if (at <= BEFORE_BYTES) {
        return 0;
    }
    size_t begin = at - BEFORE_BYTES;
    for (size_t i = begin; i < at; i++) {
        if (text.data[i] == ' ') {
            return i + 1;
        }
    }
    while (is_inside_character(text, begin)) {
        begin++;
    }
    return begin;
}

static size_t snippet_end(struct osr_slice text, size_t begin)
{
    if (text.size - begin <= OSR_SEARCH_SNIPPET_BYTES) {
        return text.size;
    }
    size_t end = begin + OSR_SEARCH_SNIPPET_BYTES;
    while (is_inside_character(text, end)) {
        end--;
    }
    return end;
}

/* On one line: control characters become spaces. */
static void add_plain(struct osr_buffer *snippet, struct osr_slice text, size_t begin, size_t end)
{
    uint8_t *to = osr_buffer_reserve(snippet, end - begin);
    for (size_t i = begin; i < end; i++) {
        uint8_t byte = text.data[i];
        *to++ = byte < 0x20 || byte == 0x7f ? ' ' : byte;
    }
    snippet->size += end - begin;
}

void osr_search_snippet(struct osr_buffer *snippet, struct osr_slice text,
                        const struct osr_search_match *matches, size_t count)
{
    size_t first = best_match(matches, count);
    size_t at = snippet_begin(text, count > 0 ? matches[first].begin : 0);
    size_t end = snippet_end(text, at);
    if (at > 0) {
        osr_buffer_add_text(snippet, "…");
    }
    for (size_t i = 0; i < count && matches[i].begin < end; i++) {
        size_t match_begin = matches[i].begin < at ? at : matches[i].begin;
        size_t match_end = matches[i].end < end ? matches[i].end : end;
        if (match_end <= match_begin) {
            continue; /* before the snippet, or within the match before */
        }
        add_plain(snippet, text, at, match_begin);
        osr_buffer_add_text(snippet, "**");
        add_plain(snippet, text, match_begin, match_end);
        osr_buffer_add_text(snippet, "**");
        at = match_end;
    }
    add_plain(snippet, text, at, end);
    if (end < text.size) {
        osr_buffer_add_text(snippet, "…");
    }
}
