#include "base/yaml_events.h"

/* ---- directives ---- */

/* Behind any break that libyaml knows: LF, CR, U+0085, U+2028, U+2029. */
static bool begins_line(struct osr_slice text, size_t at)
{
    static const struct {
        const char *bytes;
        size_t size;
    } breaks[] = {{"\n", 1}, {"\r", 1}, {"\xc2\x85", 2}, {"\xe2\x80\xa8", 3}, {"\xe2\x80\xa9", 3}};
    bool begins = at == 0;
    for (size_t i = 0; !begins && i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        size_t size = breaks[i].size;
        begins = at >= size && memcmp(text.data + at - size, breaks[i].bytes, size) == 0;
    }
    return begins;
}

/* SIZE_MAX where there is none. A '%' at the begin of a line within a scalar counts as one: who
 * means that can indent it. */
static size_t find_directive(struct osr_slice text)
{
    static const char known[] = "%YAML ";
    const uint8_t *at = text.data;
    const uint8_t *end = text.size > 0 ? at + text.size : at;
    while (at < end && (at = memchr(at, '%', (size_t)(end - at))) != NULL) {
        bool is_known =
            (size_t)(end - at) >= sizeof(known) - 1 && memcmp(at, known, sizeof(known) - 1) == 0;
        if (!is_known && begins_line(text, (size_t)(at - text.data))) {
            return (size_t)(at - text.data);
        }
        at++;
    }
    return SIZE_MAX;
}

/* ---- from the begin to the end ---- */

bool osr_yaml_events_open(struct osr_yaml_events *events, struct osr_slice text)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    if (text.size >= 3 && memcmp(text.data, byte_order_mark, 3) == 0) {
        text = osr_slice(text.data + 3, text.size - 3); /* libyaml would count it as indentation */
    }
    *events = (struct osr_yaml_events){.text = text, .directive = find_directive(text)};
    if (!yaml_parser_initialize(&events->parser)) {
        return false;
    }
    yaml_parser_set_encoding(&events->parser, YAML_UTF8_ENCODING); /* never told by a mark */
    yaml_parser_set_input_string(&events->parser,
                                 text.size > 0 ? text.data : (const unsigned char *)"", text.size);
    return true;
}

static void drop_event(struct osr_yaml_events *events)
{
    if (!events->has_event) {
        return;
    }
    if (events->event.type == YAML_SCALAR_EVENT) {
        explicit_bzero(events->event.data.scalar.value, events->event.data.scalar.length);
    }
    yaml_event_delete(&events->event);
    events->has_event = false;
}

void osr_yaml_events_close(struct osr_yaml_events *events)
{
    yaml_parser_t *parser = &events->parser;
    drop_event(events);
    explicit_bzero(parser->raw_buffer.start,
                   (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
    explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
    yaml_parser_delete(parser);
}

/* ---- places ---- */

static struct osr_yaml_place place_of(yaml_mark_t mark)
{
    return (struct osr_yaml_place){mark.line + 1, mark.column + 1};
}

/* Of a byte of the text; columns are characters. */
static struct osr_yaml_place place_of_byte(struct osr_slice text, size_t offset)
{
    struct osr_yaml_place place = {1, 1};
    for (size_t i = 0; i < offset && i < text.size; i++) {
        bool begins_character = (text.data[i] & 0xc0) != 0x80;
        place.column += begins_character;
        if (text.data[i] == '\n') {
            place = (struct osr_yaml_place){place.line + 1, 1};
        }
    }
    return place;
}

struct osr_yaml_place osr_yaml_events_place(const struct osr_yaml_events *events)
{
    return place_of(events->event.start_mark);
}

/* ---- events ---- */

static void explain(const struct osr_yaml_events *events, struct osr_yaml_problem *problem)
{
    const yaml_parser_t *parser = &events->parser;
    *problem = (struct osr_yaml_problem){
        .what = parser->problem != NULL ? parser->problem : "unreadable",
        .context = parser->context != NULL ? parser->context : "",
        .place = place_of(parser->problem_mark),
    };
    if (parser->error == YAML_READER_ERROR) { /* of bytes that are no text it knows the offset */
        problem->place = place_of_byte(events->text, parser->problem_offset);
    }
}

bool osr_yaml_events_next(struct osr_yaml_events *events, struct osr_yaml_problem *ret_problem)
{
    if (events->directive != SIZE_MAX) {
        *ret_problem = (struct osr_yaml_problem){"no directive but %YAML is taken", "",
                                                 place_of_byte(events->text, events->directive)};
        return false;
    }
    drop_event(events);
    if (!yaml_parser_parse(&events->parser, &events->event)) {
        explain(events, ret_problem);
        return false;
    }
    events->has_event = true;
    return true;
}

const char *osr_yaml_events_tag(const struct osr_yaml_events *events)
{
    const yaml_event_t *event = &events->event;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.tag;
    default:
        return NULL;
    }
}

const char *osr_yaml_events_anchor(const struct osr_yaml_events *events)
{
    const yaml_event_t *event = &events->event;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return (const char *)event->data.alias.anchor;
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

struct osr_slice osr_yaml_events_text(const struct osr_yaml_events *events)
{
    return osr_slice(events->event.data.scalar.value, events->event.data.scalar.length);
}
