/* Reading values: what is pending hides what is on disk. */
#include <assert.h>

#include "adapter/values_internal.h"

/* What lies in the file stays there until the view is paused. */
static bool begin_looking(struct osr_values_file *file)
{
    struct osr_err err;
    int code = file->has_failed ? OSR_IO : osr_values_view_resume(&file->view, &err);

    if (code != 0 && !file->has_failed) {
        osr_values_file_fail(file, &err);
    }
    return code == 0;
}

static void end_looking(struct osr_values_file *file)
{
    osr_values_view_pause(&file->view);
}

static bool has_found(struct osr_values_file *file, int code, const struct osr_err *err)
{
    if (code != 0 && code != OSR_NOT_FOUND) {
        osr_values_file_fail(file, err);
    }
    return code == 0;
}

static bool get_from_disk(struct osr_values_file *file, struct osr_slice key,
                          struct osr_buffer *value)
{
    struct osr_slice found;
    struct osr_err err;
    bool is_there;

    if (!begin_looking(file)) {
        return false;
    }
    is_there = has_found(file, osr_values_view_get(&file->view, key, &found, &err), &err);
    if (is_there) {
        osr_buffer_add(value, found.data, found.size);
    }
    end_looking(file);
    return is_there;
}

bool osr_values_file_get(struct osr_values_file *file, uint16_t machine, struct osr_slice key,
                         struct osr_buffer *value)
{
    struct osr_values_key buffer;
    struct osr_slice full = osr_values_key(&buffer, machine, key);
    const struct osr_values_entry *entry = osr_values_pending_get(file->now, full);

    if (entry == NULL) {
        entry = osr_values_pending_get(file->writing, full);
    }
    if (entry == NULL) {
        return get_from_disk(file, full, value);
    }
    if (!entry->is_removed) {
        osr_buffer_add(value, entry->value, entry->value_size);
    }
    return !entry->is_removed;
}

/* ---- in order ---- */

struct found {
    bool is_there;
    struct osr_slice key; /* with its machine */
    struct osr_slice value;
};

static bool is_of_same_machine(struct osr_slice a, struct osr_slice b)
{
    return memcmp(a.data, b.data, OSR_VALUES_MACHINE_SIZE) == 0;
}

static const struct osr_values_entry *first_pending(struct osr_values_file *file,
                                                    struct osr_slice from)
{
    const struct osr_values_entry *now = osr_values_pending_seek(file->now, from);
    const struct osr_values_entry *writing = osr_values_pending_seek(file->writing, from);
    const struct osr_values_entry *first = now;

    if (now == NULL || (writing != NULL && osr_slice_compare(osr_values_entry_key(writing),
                                                             osr_values_entry_key(now)) < 0)) {
        first = writing;
    }
    return first != NULL && is_of_same_machine(osr_values_entry_key(first), from) ? first : NULL;
}

static void seek_on_disk(struct osr_values_file *file, struct osr_slice from, struct found *found)
{
    struct osr_err err;

    found->is_there = has_found(
        file, osr_values_view_seek(&file->view, from, &found->key, &found->value, &err), &err);
}

static void move_on_disk(struct osr_values_file *file, struct found *found)
{
    struct osr_err err;

    found->is_there =
        has_found(file, osr_values_view_next(&file->view, &found->key, &found->value, &err), &err);
}

/* The first that is not below what `at` says; this is moved on behind what was removed. */
static struct found find_first(struct osr_values_file *file, struct osr_values_key *at)
{
    struct osr_slice from = osr_slice(at->bytes, at->size);
    struct found found;

    seek_on_disk(file, from, &found);
    for (;;) {
        const struct osr_values_entry *entry = first_pending(file, from);
        struct osr_slice key;
        int order;

        if (entry == NULL) {
            found.is_there = found.is_there && is_of_same_machine(found.key, from);
            return found;
        }
        key = osr_values_entry_key(entry);
        order = found.is_there ? osr_slice_compare(found.key, key) : 1;
        if (order < 0) {
            return found;
        }
        if (!entry->is_removed) {
            return (struct found){true, key, osr_values_entry_value(entry)};
        }
        if (order == 0) {
            move_on_disk(file, &found);
        }
        memcpy(at->bytes, key.data, key.size);
        at->bytes[key.size] = 0;
        from.size = key.size + 1;
    }
}

bool osr_values_file_next(struct osr_values_file *file, uint16_t machine, struct osr_slice from,
                          struct osr_buffer *key, struct osr_buffer *value)
{
    struct osr_values_key at;
    struct found found;

    if (!begin_looking(file)) {
        return false;
    }
    osr_values_key(&at, machine, from);
    found = find_first(file, &at);
    if (found.is_there) {
        osr_buffer_add(key, found.key.data + OSR_VALUES_MACHINE_SIZE,
                       found.key.size - OSR_VALUES_MACHINE_SIZE);
        osr_buffer_add(value, found.value.data, found.value.size);
    }
    end_looking(file);
    return found.is_there;
}
