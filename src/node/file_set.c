#include "node/file_set.h"

#include <stdlib.h>

#include "adapter/private_file.h"

/* The list: its title, and for each file "+NAME" (NAME.new is to take its place) or "-NAME". */
#define LIST_NAME  "change"
#define LIST_TITLE "osiris change 1"

/* A line for each file, of names that this program has made up: stops a foreign file. */
enum { LIST_BYTES_MAX = 4096 };

static char *path_of(const struct osr_file_set *set, const char *name, const char *suffix)
{
    return osr_format("%s/%s%s", set->folder, name, suffix);
}

/* -- single steps -- */

static int remove_if_there(const struct osr_file_set *set, const char *name, const char *suffix,
                           struct osr_err *err)
{
    char *path = path_of(set, name, suffix);
    int code = set->disk->ops->remove(set->disk, path, err);

    free(path);
    return code == OSR_NOT_FOUND ? 0 : code;
}

/* NAME.new becomes NAME, unless it did so before a crash. */
static int put_in_place(const struct osr_file_set *set, const char *name, struct osr_err *err)
{
    char *from = path_of(set, name, ".new");
    char *to = path_of(set, name, "");
    int code = set->disk->ops->rename(set->disk, from, to, err);

    free(to);
    free(from);
    return code == OSR_NOT_FOUND ? 0 : code;
}

static int write_and_sync(const struct osr_file_set *set, const char *path,
                          struct osr_slice content, struct osr_err *err)
{
    struct osr_disk *disk = set->disk;
    struct osr_file *file;
    int code = disk->ops->open(disk, path, true, &file, err);

    if (code != 0) {
        return code;
    }
    code = disk->ops->write(disk, file, 0, content.data, content.size, err);
    if (code == 0) {
        code = disk->ops->sync(disk, file, err);
    }
    disk->ops->close(disk, file);
    return code;
}

static int write_new(const struct osr_file_set *set, const char *name, struct osr_slice content,
                     struct osr_err *err)
{
    char *path = path_of(set, name, ".new");
    int code = write_and_sync(set, path, content, err);

    free(path);
    return code;
}

static int sync_folder(const struct osr_file_set *set, struct osr_err *err)
{
    return set->disk->ops->sync_folder(set->disk, set->folder, err);
}

static int remove_new_files(const struct osr_file_set *set, struct osr_err *err)
{
    int code = remove_if_there(set, LIST_NAME, ".new", err);

    for (size_t i = 0; code == 0 && i < set->name_count; i++) {
        code = remove_if_there(set, set->names[i], ".new", err);
    }
    return code;
}

/* -- reading -- */

static int read_open(const struct osr_file_set *set, struct osr_file *file, const char *path,
                     size_t size_max, struct osr_buffer *content, struct osr_err *err)
{
    uint64_t size;
    size_t taken;
    int code = set->disk->ops->size(set->disk, file, &size, err);

    if (code != 0) {
        return code;
    }
    if (size == 0) {
        osr_err_set(err, OSR_CORRUPT, "%s is empty", path);
        osr_err_hint(err, "restore it from a backup, or remove it: rm %s", path);
        return OSR_CORRUPT;
    }
    if (size > size_max) {
        return osr_err_set(err, OSR_TOO_LARGE, "%s has %llu bytes; at most %zu make sense", path,
                           (unsigned long long)size, size_max);
    }
    code = set->disk->ops->read(set->disk, file, 0, osr_buffer_reserve(content, (size_t)size),
                                (size_t)size, &taken, err);
    content->size += code == 0 ? taken : 0;
    return code;
}

static int read_path(const struct osr_file_set *set, const char *path, size_t size_max,
                     unsigned forbidden, struct osr_buffer *content, struct osr_err *err)
{
    struct osr_disk *disk = set->disk;
    struct osr_file *file;
    int code = disk->ops->open(disk, path, false, &file, err);

    if (code != 0) {
        osr_err_hint(err, "it has to be a file, no link, of the user that runs this: ls -l %s",
                     path);
        return code;
    }
    code = disk->ops->check_private(disk, file, forbidden, err);
    if (code == 0) {
        code = read_open(set, file, path, size_max, content, err);
    }
    disk->ops->close(disk, file);
    return code;
}

int osr_file_set_read(const struct osr_file_set *set, const char *name, size_t size_max,
                      unsigned forbidden, struct osr_buffer *content, struct osr_err *err)
{
    char *path = path_of(set, name, "");
    int code = read_path(set, path, size_max, forbidden, content, err);

    free(path);
    return code;
}

/* -- finishing a change -- */

/* The set's own text for the name; NULL: it has no such file. */
static const char *known_name(const struct osr_file_set *set, struct osr_slice name)
{
    for (size_t i = 0; i < set->name_count; i++) {
        if (osr_slice_equal(osr_slice_text(set->names[i]), name)) {
            return set->names[i];
        }
    }
    return NULL;
}

static int foreign_list(const struct osr_file_set *set, struct osr_err *err)
{
    osr_err_set(err, OSR_FOREIGN_FILE, "%s/" LIST_NAME " is no list that this program made",
                set->folder);
    osr_err_hint(err, "move it away: mv %s/" LIST_NAME " %s/" LIST_NAME ".foreign", set->folder,
                 set->folder);
    return OSR_FOREIGN_FILE;
}

static int follow_line(const struct osr_file_set *set, struct osr_slice line, struct osr_err *err)
{
    const char *name =
        line.size > 1 ? known_name(set, osr_slice(line.data + 1, line.size - 1)) : NULL;

    if (name != NULL && line.data[0] == '+') {
        return put_in_place(set, name, err);
    }
    if (name != NULL && line.data[0] == '-') {
        return remove_if_there(set, name, "", err);
    }
    return foreign_list(set, err);
}

/* Without its end; a last line that has none is empty: no line of ours. */
static struct osr_slice take_line(struct osr_slice *rest)
{
    const uint8_t *end = rest->size > 0 ? memchr(rest->data, '\n', rest->size) : NULL;
    struct osr_slice line = osr_slice(rest->data, end != NULL ? (size_t)(end - rest->data) : 0);

    *rest = end != NULL ? osr_slice(end + 1, rest->size - line.size - 1) : osr_slice(NULL, 0);
    return line;
}

/* May be done again from its start after a crash: what has been done is passed over. */
static int follow_list(const struct osr_file_set *set, struct osr_slice list, struct osr_err *err)
{
    struct osr_slice rest = list;
    int code = 0;

    if (!osr_slice_equal(take_line(&rest), osr_slice_text(LIST_TITLE))) {
        return foreign_list(set, err);
    }
    while (code == 0 && rest.size > 0) {
        code = follow_line(set, take_line(&rest), err);
    }
    return code;
}

static int finish(const struct osr_file_set *set, struct osr_slice list, struct osr_err *err)
{
    int code = follow_list(set, list, err);

    if (code == 0) {
        code = sync_folder(set, err);
    }
    if (code == 0) {
        code = remove_if_there(set, LIST_NAME, "", err);
    }
    return code != 0 ? code : sync_folder(set, err);
}

/* Its name is synced even where it was there: a crash may have come between the two. */
static int make_folder(const struct osr_file_set *set, struct osr_err *err)
{
    int code = set->disk->ops->make_folder(set->disk, set->folder, err);
    return code != 0 ? code : set->disk->ops->sync_folder(set->disk, set->parent, err);
}

static int finish_or_take_back(const struct osr_file_set *set, struct osr_err *err)
{
    struct osr_buffer list = {0};
    int code = osr_file_set_read(set, LIST_NAME, LIST_BYTES_MAX, OSR_PRIVATE_TRUST, &list, err);

    if (code == 0) {
        code = finish(set, osr_buffer_slice(&list), err);
    } else if (code == OSR_NOT_FOUND) {
        code = remove_new_files(set, err);
    }
    osr_buffer_done(&list);
    return code;
}

int osr_file_set_settle(const struct osr_file_set *set, struct osr_err *err)
{
    int code = make_folder(set, err);
    return code != 0 ? code : finish_or_take_back(set, err);
}

/* -- making a change -- */

static int write_new_files(const struct osr_file_set *set, const struct osr_file_change *changes,
                           size_t count, struct osr_buffer *list, struct osr_err *err)
{
    int code = 0;

    osr_buffer_add_text(list, LIST_TITLE "\n");
    for (size_t i = 0; code == 0 && i < count; i++) {
        bool is_removal = changes[i].content.size == 0;
        osr_buffer_add_format(list, "%c%s\n", is_removal ? '-' : '+', changes[i].name);
        if (!is_removal) {
            code = write_new(set, changes[i].name, changes[i].content, err);
        }
    }
    return code;
}

/* From the list's rename on the change has happened, whatever fails behind it. */
static int commit(const struct osr_file_set *set, struct osr_slice list, struct osr_err *err)
{
    int code = write_new(set, LIST_NAME, list, err);

    if (code == 0) {
        code = sync_folder(set, err);
    }
    if (code == 0) {
        code = put_in_place(set, LIST_NAME, err);
    }
    return code != 0 ? code : sync_folder(set, err);
}

int osr_file_set_change(const struct osr_file_set *set, const struct osr_file_change *changes,
                        size_t count, struct osr_err *err)
{
    struct osr_buffer list = {0};
    int code = write_new_files(set, changes, count, &list, err);

    if (code == 0) {
        code = commit(set, osr_buffer_slice(&list), err);
    }
    if (code == 0) {
        code = finish(set, osr_buffer_slice(&list), err);
    }
    osr_buffer_done(&list);
    return code;
}
