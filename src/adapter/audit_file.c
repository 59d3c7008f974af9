#include "adapter/audit_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 64 << 10, /* at a time */
    NAME_BYTES_MAX = 40,
};

#define NAME_FORMAT "%020" PRIu64 ".log" /* so wide that names sort as their numbers do */

/* ---- names ---- */

char *osr_audit_folder(const char *folder)
{
    return osr_format("%s/audit", folder);
}

char *osr_audit_path(const char *audit_folder, uint64_t first)
{
    return osr_format("%s/" NAME_FORMAT, audit_folder, first);
}

static void add_ours(void *context, const char *name)
{
    char ours[NAME_BYTES_MAX];
    uint64_t number = strtoull(name, NULL, 10);

    snprintf(ours, sizeof(ours), NAME_FORMAT, number);
    if (number > 0 && strcmp(name, ours) == 0) {
        osr_buffer_add(context, &number, sizeof(number));
    }
}

int osr_audit_list(struct osr_disk *disk, const char *audit_folder, struct osr_buffer *numbers,
                   struct osr_err *err)
{
    return disk->ops->list(disk, audit_folder, add_ours, numbers, err);
}

/* ---- lines ---- */

static struct osr_slice unread(const struct osr_audit_file *file)
{
    return osr_slice(file->bytes.data + file->used, file->bytes.size - file->used);
}

/* Adds a piece of the file to what is unread; *ret_any false at its end. */
static int read_more(struct osr_audit_file *file, bool *ret_any, struct osr_err *err)
{
    size_t size = 0;

    osr_buffer_consume(&file->bytes, file->used);
    file->used = 0;
    uint8_t *room = osr_buffer_reserve(&file->bytes, READ_BYTES);
    int code = file->disk->ops->read(file->disk, file->file, file->end + file->bytes.size, room,
                                     READ_BYTES, &size, err);
    if (code == 0) {
        file->bytes.size += size;
        *ret_any = size > 0;
    }
    return code;
}

/* Leaves *ret_newline NULL where no line ends within OSR_AUDIT_LINE_BYTES_MAX or the file. */
static int find_newline(struct osr_audit_file *file, const uint8_t **ret_newline,
                        struct osr_err *err)
{
    for (bool any = true; any;) {
        struct osr_slice rest = unread(file);
        size_t size = rest.size < OSR_AUDIT_LINE_BYTES_MAX ? rest.size : OSR_AUDIT_LINE_BYTES_MAX;
        *ret_newline = size > 0 ? memchr(rest.data, '\n', size) : NULL;
        if (*ret_newline != NULL || size == OSR_AUDIT_LINE_BYTES_MAX) {
            return 0;
        }
        int code = read_more(file, &any, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int osr_audit_file_refuse(const struct osr_audit_file *file, struct osr_err *err)
{
    osr_err_set(err, OSR_CORRUPT,
                "record %" PRIu64 " of the audit log does not hold (%s, byte %" PRIu64 ")",
                file->head.number + 1, file->path, file->end);
    osr_err_hint(err, "something altered it: compare it with a copy; to begin a new log, move the "
                      "folder away");
    return OSR_CORRUPT;
}

static void pass_line(struct osr_audit_file *file, size_t size)
{
    file->line = osr_slice(unread(file).data, size);
    file->line_at = file->end;
    file->used += size + 1;
    file->end += size + 1;
}

int osr_audit_file_next(struct osr_audit_file *file, bool *ret_any, struct osr_err *err)
{
    const uint8_t *newline = NULL;
    int code = find_newline(file, &newline, err);

    if (code != 0) {
        return code;
    }
    struct osr_slice rest = unread(file);
    if (newline == NULL && rest.size < OSR_AUDIT_LINE_BYTES_MAX) {
        *ret_any = false;
        return 0;
    }
    size_t size = newline != NULL ? (size_t)(newline - rest.data) : 0;
    if (newline == NULL || !osr_audit_line_holds(osr_slice(rest.data, size), &file->head)) {
        return osr_audit_file_refuse(file, err);
    }
    pass_line(file, size);
    *ret_any = true;
    return 0;
}

/* ---- the file ---- */

static int read_header(struct osr_audit_file *file, uint64_t first, struct osr_err *err)
{
    const uint8_t *newline = NULL;
    int code = find_newline(file, &newline, err);

    if (code != 0) {
        return code;
    }
    struct osr_slice rest = unread(file);
    size_t size = newline != NULL ? (size_t)(newline - rest.data) : rest.size;
    code = osr_audit_header_decode(osr_slice(rest.data, size), first - 1, &file->head, err);
    if (code != 0) {
        osr_err_prefix(err, "%s", file->path);
        return code;
    }
    if (newline == NULL) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s: the first line has no end", file->path);
    }
    pass_line(file, size);
    return 0;
}

int osr_audit_file_open(struct osr_disk *disk, const char *audit_folder, uint64_t first,
                        struct osr_audit_file **ret_file, struct osr_err *err)
{
    struct osr_audit_file *file = osr_alloc(sizeof(*file));

    file->disk = disk;
    file->path = osr_audit_path(audit_folder, first);
    osr_buffer_reserve(&file->bytes, READ_BYTES);
    int code = disk->ops->open(disk, file->path, false, &file->file, err);
    if (code == 0) {
        code = read_header(file, first, err);
    }
    if (code != 0) {
        osr_audit_file_close(file);
        return code;
    }
    *ret_file = file;
    return 0;
}

void osr_audit_file_close(struct osr_audit_file *file)
{
    if (file == NULL) {
        return;
    }
    file->disk->ops->close(file->disk, file->file);
    osr_buffer_done(&file->bytes);
    free(file->path);
    free(file);
}
