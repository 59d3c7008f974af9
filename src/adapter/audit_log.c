#include "adapter/audit_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/audit_file.h"

enum { APPEND_BYTES_MAX = OSR_AUDIT_APPEND_MAX * OSR_AUDIT_LINE_BYTES_MAX };

struct osr_audit_log {
    struct osr_disk *disk;
    uint64_t file_bytes;
    uint32_t files_max;
    char *folder; /* DIR/audit */

    struct osr_file *file;      /* the last one */
    uint64_t size;              /* of it, up to the end of the last record */
    bool is_dirty;              /* something may stand behind that: an append failed */
    struct osr_audit_head head; /* all up to it are on the disk */
    uint64_t torn_bytes;
};

/* ---- files ---- */

/* Those that are too many with a new one. What cannot be removed is tried again with the next. */
static int remove_oldest(struct osr_audit_log *log, struct osr_err *err)
{
    struct osr_buffer numbers = {0};
    int code = osr_audit_list(log->disk, log->folder, &numbers, err);
    size_t count = osr_audit_listed_count(&numbers);

    for (size_t i = 0; code == 0 && i + log->files_max <= count; i++) {
        char *path = osr_audit_path(log->folder, osr_audit_listed(&numbers, i));
        log->disk->ops->remove(log->disk, path, NULL);
        free(path);
    }
    osr_buffer_done(&numbers);
    return code;
}

/* Its first line is whole before it has its name. */
static int write_header(struct osr_audit_log *log, struct osr_file *file, uint64_t *ret_size,
                        struct osr_err *err)
{
    struct osr_buffer header = {0};

    osr_audit_header_encode(&header, &log->head);
    int code = log->disk->ops->write(log->disk, file, 0, header.data, header.size, err);
    if (code == 0) {
        code = log->disk->ops->sync(log->disk, file, err);
    }
    *ret_size = header.size;
    osr_buffer_done(&header);
    return code;
}

/* A second try goes over what the first one left. */
static int make_file(struct osr_audit_log *log, const char *path, const char *temporary,
                     struct osr_err *err)
{
    struct osr_disk *disk = log->disk;
    struct osr_file *file = NULL;
    uint64_t size = 0;

    disk->ops->remove(disk, temporary, NULL);
    int code = disk->ops->open(disk, temporary, true, &file, err);
    if (code != 0) {
        return code;
    }
    code = write_header(log, file, &size, err);
    if (code == 0) {
        code = disk->ops->rename(disk, temporary, path, err);
    }
    if (code == 0) {
        code = disk->ops->sync_folder(disk, log->folder, err);
    }
    if (code != 0) {
        disk->ops->remove(disk, temporary, NULL); /* it may have its name already */
        disk->ops->close(disk, file);
        return code;
    }
    disk->ops->close(disk, log->file);
    log->file = file;
    log->size = size;
    return 0;
}

static int begin_file(struct osr_audit_log *log, struct osr_err *err)
{
    char *path = osr_audit_path(log->folder, log->head.number + 1);
    char *temporary = osr_format("%s.tmp", path);
    int code = remove_oldest(log, err);

    if (code == 0) {
        code = make_file(log, path, temporary, err);
    }
    free(temporary);
    free(path);
    return code;
}

/* ---- open ---- */

/* What of the file was written last, and is not known to be on the disk. */
struct tail {
    uint64_t synced; /* the last line's word for it */
    uint64_t at;     /* where the first line begins that says so */
};

/* Walks up to the last line that holds. */
static int walk(struct osr_audit_file *file, struct tail *tail, struct osr_err *err)
{
    bool any = true;
    int code = 0;

    *tail = (struct tail){.at = file->end};
    while (any) {
        code = osr_audit_file_next(file, &any, err);
        if (code != 0 || !any) {
            return code;
        }
        uint64_t number;
        uint64_t synced = 0;
        osr_audit_line_begins(file->line, &number, &synced);
        if (synced != tail->synced) {
            *tail = (struct tail){.synced = synced, .at = file->line_at};
        }
    }
    return code;
}

/* More than one append has written is none of ours: stops an endless file from filling the memory.
 */
static int read_tail(struct osr_audit_log *log, const struct osr_audit_file *file, uint64_t from,
                     uint64_t to, struct osr_buffer *bytes, struct osr_err *err)
{
    size_t size = (size_t)(to - from);

    if (size > APPEND_BYTES_MAX) {
        return osr_audit_file_refuse(file, err);
    }
    return log->disk->ops->read(log->disk, log->file, from, osr_buffer_reserve(bytes, size), size,
                                &bytes->size, err);
}

/* The chain ends before the file does. Says whether that is what a crash leaves. */
static int check_torn(struct osr_audit_log *log, const struct osr_audit_file *file,
                      uint64_t file_size, struct osr_err *err)
{
    struct osr_buffer rest = {0};
    int code = read_tail(log, file, file->end, file_size, &rest, err);

    if (code == 0 && osr_audit_line_vouches(osr_buffer_slice(&rest), file->head.number + 1)) {
        code = osr_audit_file_refuse(file, err);
    }
    osr_buffer_done(&rest);
    return code;
}

/* Reads may show what a failed sync kept from the disk, until it is written again. */
static int write_again(struct osr_audit_log *log, const struct osr_audit_file *file, uint64_t from,
                       struct osr_err *err)
{
    struct osr_buffer bytes = {0};
    int code = read_tail(log, file, from, file->end, &bytes, err);

    if (code == 0) {
        code = log->disk->ops->write(log->disk, log->file, from, bytes.data, bytes.size, err);
    }
    if (code == 0) {
        code = log->disk->ops->sync(log->disk, log->file, err);
    }
    osr_buffer_done(&bytes);
    return code;
}

static int take_up(struct osr_audit_log *log, struct osr_audit_file *file, struct osr_err *err)
{
    struct tail tail;
    uint64_t file_size = 0;
    int code = walk(file, &tail, err);

    if (code != 0 && code != OSR_CORRUPT) {
        return code;
    }
    code = log->disk->ops->size(log->disk, log->file, &file_size, err);
    if (code == 0 && file_size > file->end) {
        code = check_torn(log, file, file_size, err);
    }
    if (code == 0 && file_size > file->end) {
        code = log->disk->ops->cut(log->disk, log->file, file->end, err);
    }
    if (code != 0) {
        return code;
    }
    log->head = file->head;
    log->size = file->end;
    log->torn_bytes = file_size - file->end;
    return write_again(log, file, tail.at, err);
}

static int open_file(struct osr_audit_log *log, uint64_t first, struct osr_err *err)
{
    struct osr_audit_file *file = NULL;
    int code = osr_audit_file_open(log->disk, log->folder, first, &file, err);

    if (code != 0) {
        return code;
    }
    code = log->disk->ops->open(log->disk, file->path, false, &log->file, err);
    if (code == 0) {
        code = take_up(log, file, err);
    }
    osr_audit_file_close(file);
    return code;
}

static int open_last(struct osr_audit_log *log, struct osr_err *err)
{
    struct osr_buffer numbers = {0};
    int code = osr_audit_list(log->disk, log->folder, &numbers, err);
    size_t count = osr_audit_listed_count(&numbers);

    if (code == 0) {
        code = count > 0 ? open_file(log, osr_audit_listed(&numbers, count - 1), err)
                         : begin_file(log, err);
    }
    osr_buffer_done(&numbers);
    return code;
}

/* Names, too, may not have got to the disk before a crash: of the folder, and of the last file. */
static int make_folder(struct osr_audit_log *log, const char *parent, struct osr_err *err)
{
    int code = log->disk->ops->make_folder(log->disk, log->folder, err);

    if (code == 0) {
        code = log->disk->ops->sync_folder(log->disk, parent, err);
    }
    if (code == 0) {
        code = log->disk->ops->sync_folder(log->disk, log->folder, err);
    }
    return code;
}

int osr_audit_log_open(const struct osr_audit_log_options *options, struct osr_audit_log **ret_log,
                       struct osr_err *err)
{
    struct osr_audit_log *log = osr_alloc(sizeof(*log));

    log->disk = options->disk;
    log->file_bytes = options->file_bytes > 0 ? options->file_bytes : OSR_AUDIT_FILE_BYTES;
    log->files_max = options->files_max > 0 ? options->files_max : OSR_AUDIT_FILES_MAX;
    log->folder = osr_audit_folder(options->folder);
    assert(log->files_max >= 2); /* the current one is never removed */
    int code = make_folder(log, options->folder, err);
    if (code == 0) {
        code = open_last(log, err);
    }
    if (code != 0) {
        osr_audit_log_close(log);
        return code;
    }
    *ret_log = log;
    return 0;
}

void osr_audit_log_close(struct osr_audit_log *log)
{
    if (log == NULL) {
        return;
    }
    log->disk->ops->close(log->disk, log->file);
    free(log->folder);
    free(log);
}

/* ---- append ---- */

/* Takes away what a failed append left. */
static int clean(struct osr_audit_log *log, struct osr_err *err)
{
    if (!log->is_dirty) {
        return 0;
    }
    int code = log->disk->ops->cut(log->disk, log->file, log->size, err);
    log->is_dirty = code != 0;
    return code;
}

static int write_lines(struct osr_audit_log *log, const struct osr_buffer *lines,
                       struct osr_err *err)
{
    int code =
        log->disk->ops->write(log->disk, log->file, log->size, lines->data, lines->size, err);

    if (code == 0) {
        code = log->disk->ops->sync(log->disk, log->file, err);
    }
    if (code != 0) {
        log->is_dirty = true;
        clean(log, NULL); /* else before the next append */
    }
    return code;
}

/* Ready for lines at log->size. */
static int make_ready(struct osr_audit_log *log, struct osr_err *err)
{
    int code = clean(log, err);

    if (code == 0 && log->size >= log->file_bytes) {
        code = begin_file(log, err);
    }
    return code;
}

int osr_audit_log_append(struct osr_audit_log *log, struct osr_audit_record *records, size_t count,
                         struct osr_err *err)
{
    struct osr_audit_head head = log->head;
    struct osr_buffer lines = {0};

    assert(count <= OSR_AUDIT_APPEND_MAX);
    int code = make_ready(log, err);
    if (code != 0) {
        return code;
    }
    for (size_t i = 0; i < count; i++) {
        osr_audit_line_encode(&lines, &records[i], log->head.number, &head);
    }
    code = write_lines(log, &lines, err);
    if (code == 0) {
        log->size += lines.size;
        for (size_t i = 0; i < count; i++) {
            records[i].number = log->head.number + 1 + i;
        }
        log->head = head;
    }
    osr_buffer_done(&lines);
    return code;
}

struct osr_audit_head osr_audit_log_head(const struct osr_audit_log *log)
{
    return log->head;
}

uint64_t osr_audit_log_torn_bytes(const struct osr_audit_log *log)
{
    return log->torn_bytes;
}
