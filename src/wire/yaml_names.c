#include "wire/yaml_names.h"

#include <stdlib.h>

void osr_yaml_names_done(struct osr_yaml_names *names)
{
    osr_buffer_done(&names->items);
}

size_t osr_yaml_names_begin(const struct osr_yaml_names *names)
{
    return names->items.size;
}

void osr_yaml_names_add(struct osr_yaml_names *names, struct osr_yaml_name name)
{
    osr_buffer_add(&names->items, &name, sizeof(name));
}

static int compare_text(const struct osr_yaml_name *a, const struct osr_yaml_name *b,
                        const uint8_t *text)
{
    return a->size != b->size ? (a->size > b->size) - (a->size < b->size)
                              : memcmp(text + a->offset, text + b->offset, a->size);
}

static int compare(const void *a, const void *b, void *text)
{
    const struct osr_yaml_name *first = a;
    const struct osr_yaml_name *second = b;
    int order = compare_text(first, second, text);
    return order != 0 ? order : (first->offset > second->offset) - (first->offset < second->offset);
}

bool osr_yaml_names_end(struct osr_yaml_names *names, size_t begin, const uint8_t *text,
                        struct osr_yaml_name *ret_doubled)
{
    size_t count = (names->items.size - begin) / sizeof(struct osr_yaml_name);
    names->items.size = begin;
    if (count < 2) {
        return true;
    }
    struct osr_yaml_name *items = (struct osr_yaml_name *)(void *)(names->items.data + begin);
    qsort_r(items, count, sizeof(*items), compare, (void *)text);
    for (size_t i = 1; i < count; i++) {
        if (compare_text(&items[i - 1], &items[i], text) == 0) {
            *ret_doubled = items[i];
            return false;
        }
    }
    return true;
}
