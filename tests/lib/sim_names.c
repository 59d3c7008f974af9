#include "lib/sim_names.h"

#include <stdlib.h>

static size_t find(const struct osr_sim_names *names, const char *path, bool *ret_found)
{
    size_t low = 0;
    size_t high = names->count;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(names->items[middle].path, path);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct node *osr_sim_names_get(const struct osr_sim_names *names, const char *path)
{
    bool found;
    size_t at = find(names, path, &found);

    return found ? names->items[at].node : NULL;
}

void osr_sim_names_put(struct osr_sim_names *names, const char *path, struct node *node)
{
    bool found;
    size_t at = find(names, path, &found);

    if (!found) {
        names->items = osr_realloc(names->items, (names->count + 1) * sizeof(*names->items));
        memmove(&names->items[at + 1], &names->items[at],
                (names->count - at) * sizeof(*names->items));
        names->items[at].path = osr_strdup(path);
        names->count++;
    }
    names->items[at].node = node;
}

void osr_sim_names_remove(struct osr_sim_names *names, const char *path)
{
    bool found;
    size_t at = find(names, path, &found);

    if (!found)
        return;
    free(names->items[at].path);
    names->count--;
    memmove(&names->items[at], &names->items[at + 1], (names->count - at) * sizeof(*names->items));
}

void osr_sim_names_clear(struct osr_sim_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].path);
    free(names->items);
    *names = (struct osr_sim_names){0};
}

void osr_sim_names_copy(struct osr_sim_names *to, const struct osr_sim_names *from)
{
    osr_sim_names_clear(to);
    for (size_t i = 0; i < from->count; i++)
        osr_sim_names_put(to, from->items[i].path, from->items[i].node);
}

size_t osr_sim_folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool osr_sim_is_in_folder(const char *path, const char *folder)
{
    size_t length = osr_sim_folder_length(path);

    if (length == 0)
        return strcmp(folder, ".") == 0;
    return strlen(folder) == length && memcmp(path, folder, length) == 0;
}
