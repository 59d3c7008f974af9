/* yaml_names.h -- finds a name that one mapping has twice, at n log n for any names. Private to the
 * room. */
#ifndef OSR_WIRE_YAML_NAMES_H
#define OSR_WIRE_YAML_NAMES_H

#include "base/bytes.h"
#include "base/yaml_events.h"

/* Where a name stands in the text that holds them all, and where it was read. */
struct osr_yaml_name {
    uint32_t offset, size;
    uint32_t line, column;
};

/* Those of the mappings that have not ended, the innermost mapping's last. A zeroed one is empty
 * and valid. */
struct osr_yaml_names {
    struct osr_buffer items;
};

void osr_yaml_names_done(struct osr_yaml_names *names);
/* Begins a mapping; gives what ends it. */
size_t osr_yaml_names_begin(const struct osr_yaml_names *names);
void osr_yaml_names_add(struct osr_yaml_names *names, struct osr_yaml_name name);
/* Forgets the mapping's names. False where one was there twice: its second place. `text` is as it
 * was when they were added, or longer. */
bool osr_yaml_names_end(struct osr_yaml_names *names, size_t begin, const uint8_t *text,
                        struct osr_yaml_name *ret_doubled);

#endif
