/* yaml_events.h -- YAML text as libyaml reads it, one event after the other, for the config and for
 * frames: which places the events have and why a text is refused. What a program accepts of YAML is
 * for its readers to say: aliases, anchors and tags are given as they stand.
 *
 * UTF-8 alone. Costs no more than a few times the text, in memory and in time: directives other
 * than %YAML, which libyaml compares with each other, are refused before it sees them. */
#ifndef OSR_BASE_YAML_EVENTS_H
#define OSR_BASE_YAML_EVENTS_H

#include <yaml.h>

#include "base/bytes.h"

struct osr_yaml_place {
    size_t line, column; /* 1.. */
};

/* Fields are read, not written, by who uses it. */
struct osr_yaml_events {
    struct osr_slice text; /* without a byte order mark */
    size_t directive;      /* where one stands that is not taken, or SIZE_MAX */
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
};

/* Why there is no next event. Static memory, or the parser's. */
struct osr_yaml_problem {
    const char *what;
    const char *context; /* "" or what was being read */
    struct osr_yaml_place place;
};

/* The text stays the caller's and must outlive it. False where there is no memory for a parser. */
bool osr_yaml_events_open(struct osr_yaml_events *events, struct osr_slice text);
/* Wipes what it holds of the text: a frame may be a secret's. What libyaml has freed by then is out
 * of reach. */
void osr_yaml_events_close(struct osr_yaml_events *events);
/* Makes the next event the current one; false where the text is no YAML. */
bool osr_yaml_events_next(struct osr_yaml_events *events, struct osr_yaml_problem *ret_problem);

/* Of the current event; the tag and the anchor NULL where it has none. */
struct osr_yaml_place osr_yaml_events_place(const struct osr_yaml_events *events);
const char *osr_yaml_events_tag(const struct osr_yaml_events *events);
const char *osr_yaml_events_anchor(const struct osr_yaml_events *events); /* of an alias, too */
/* The current scalar's text, which may have a NUL inside and has one behind it. */
struct osr_slice osr_yaml_events_text(const struct osr_yaml_events *events);

#endif
