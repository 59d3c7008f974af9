#include "wire/yaml_split.h"

enum { MARKER_SIZE = 3 };

enum line { LINE_UNKNOWN, LINE_BEGINS, LINE_ENDS, LINE_OTHER };

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* What begins here. A marker is one only with white space behind it. */
static enum line line_at(struct osr_slice input, size_t at)
{
    const uint8_t *bytes = input.data + at;
    size_t left = input.size - at;
    size_t same = 1;
    if (left > 0 && bytes[0] != '-' && bytes[0] != '.') {
        return LINE_OTHER;
    }
    while (same < left && same < MARKER_SIZE && bytes[same] == bytes[0]) {
        same++;
    }
    if (left <= same) {
        return LINE_UNKNOWN;
    }
    if (same < MARKER_SIZE || !(is_blank(bytes[same]) || bytes[same] == '\n')) {
        return LINE_OTHER;
    }
    return bytes[0] == '-' ? LINE_BEGINS : LINE_ENDS;
}

/* Moves behind the line's end, or to the end of the input, and notes whether there is content. */
static void pass_line(struct osr_yaml_split *split, struct osr_slice input)
{
    const uint8_t *bytes = input.data;
    while (!split->has_content && !split->in_comment && split->at < input.size &&
           bytes[split->at] != '\n') {
        split->in_comment = bytes[split->at] == '#';
        split->has_content = !split->in_comment && !is_blank(bytes[split->at]);
        split->at++;
    }
    const uint8_t *end =
        split->at < input.size ? memchr(bytes + split->at, '\n', input.size - split->at) : NULL;
    split->at = end != NULL ? (size_t)(end - bytes) + 1 : input.size;
    split->in_line = end == NULL;
    split->in_comment = split->in_comment && end == NULL;
}

/* A document ends here, or there was none. */
static void take_end(struct osr_yaml_split *split, size_t end, size_t *ret_passed,
                     size_t *ret_length)
{
    *(split->has_content ? ret_length : ret_passed) = end;
    *split = (struct osr_yaml_split){.is_bare = split->is_bare};
}

void osr_yaml_split(struct osr_yaml_split *split, struct osr_slice input, size_t *ret_passed,
                    size_t *ret_length)
{
    *ret_passed = 0;
    *ret_length = 0;
    split->is_bare = split->is_bare && split->at > 0;
    while (split->at < input.size) {
        enum line line = split->in_line ? LINE_OTHER : line_at(input, split->at);
        if (line == LINE_UNKNOWN) {
            return;
        }
        if (line == LINE_BEGINS && !split->is_open && !split->has_content) {
            split->is_open = true;
            split->at += MARKER_SIZE;
        } else if (line != LINE_OTHER) {
            size_t end = split->at + (line == LINE_ENDS ? MARKER_SIZE : 0);
            take_end(split, end, ret_passed, ret_length);
            return;
        } else if (!split->in_line && input.data[split->at] == '%' && !split->is_open) {
            split->in_comment = !split->has_content;
            split->has_directive = true;
        }
        split->in_line = true;
        pass_line(split, input);
        split->is_bare = split->has_content && !split->is_open;
        if (!split->in_line && !split->is_open && !split->has_directive && !split->has_content) {
            take_end(split, split->at, ret_passed, ret_length);
            return;
        }
    }
}

bool osr_yaml_split_has_rest(const struct osr_yaml_split *split)
{
    return split->has_content;
}
