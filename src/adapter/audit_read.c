/* Reading the audit log from its first file to its last, while it may be appended to. */
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/audit_file.h"

struct reading {
    struct osr_disk *disk;
    char *folder;
    const struct osr_audit_wanted *wanted;
    osr_audit_visit *visit;
    void *context;
    struct osr_buffer numbers; /* of the files when the reading began */
    struct osr_buffer texts;   /* of the record that is looked at */
    uint64_t first;            /* of the file that is read, or was read last; 0: none as yet */
    struct osr_audit_head head;
};

/* ---- what is wanted ---- */

static bool is_wanted_who(const char *wanted, const char *who)
{
    size_t size = wanted != NULL ? strlen(wanted) : 0;

    if (wanted == NULL) {
        return true;
    }
    if (size > 0 && wanted[size - 1] == '*') {
        return strncmp(wanted, who, size - 1) == 0;
    }
    return strcmp(wanted, who) == 0;
}

static bool is_wanted(const struct osr_audit_wanted *wanted, const struct osr_audit_record *record)
{
    return record->number >= wanted->from_number && record->time_ms >= wanted->from_ms &&
           (wanted->to_ms == 0 || record->time_ms <= wanted->to_ms) &&
           (!wanted->denied_only || !record->allowed) && is_wanted_who(wanted->who, record->who);
}

/* ---- one file ---- */

static int visit_line(struct reading *reading, const struct osr_audit_file *file,
                      struct osr_err *err)
{
    struct osr_audit_record record;
    int code = osr_audit_line_decode(file->line, file->head.number, &reading->texts, &record, err);

    if (code != 0) {
        osr_err_prefix(err, "record %" PRIu64 " of the audit log (%s)", file->head.number,
                       file->path);
        return code;
    }
    return is_wanted(reading->wanted, &record) ? reading->visit(reading->context, &record, err) : 0;
}

static int read_lines(struct reading *reading, struct osr_audit_file *file, struct osr_err *err)
{
    bool any = true;
    int code = 0;

    while (code == 0 && any) {
        code = osr_audit_file_next(file, &any, err);
        if (code == 0 && any) {
            reading->head = file->head;
            code = visit_line(reading, file, err);
        }
    }
    return code;
}

/* The file goes on where the one before it ended. */
static int check_joint(const struct reading *reading, const struct osr_audit_file *file,
                       struct osr_err *err)
{
    if (reading->first != 0 && !osr_hash_equal(&reading->head.chain, &file->head.chain)) {
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "%s does not go on where the audit log's file before it ends",
                                file->path);
    }
    return 0;
}

/* Something behind the last line, in a file that is written no more. */
static int check_end(const struct osr_audit_file *file, bool has_next, struct osr_err *err)
{
    uint64_t size = 0;
    int code = file->disk->ops->size(file->disk, file->file, &size, err);

    return code == 0 && has_next && size > file->end ? osr_audit_file_refuse(file, err) : code;
}

/* Whether there was a file with this number or a greater one. */
static bool is_listed_from(const struct reading *reading, uint64_t number)
{
    size_t count = osr_audit_listed_count(&reading->numbers);

    return count > 0 && osr_audit_listed(&reading->numbers, count - 1) >= number;
}

/* *ret_is_there false: there is no such file, which is for the caller to judge. */
static int read_file(struct reading *reading, uint64_t first, bool *ret_is_there,
                     struct osr_err *err)
{
    struct osr_audit_file *file = NULL;
    int code = osr_audit_file_open(reading->disk, reading->folder, first, &file, err);

    *ret_is_there = code != OSR_NOT_FOUND;
    if (code != 0) {
        return *ret_is_there ? code : 0;
    }
    code = check_joint(reading, file, err);
    if (code == 0) {
        reading->head = file->head;
        reading->first = first;
        code = read_lines(reading, file, err);
    }
    if (code == 0) {
        code = check_end(file, is_listed_from(reading, first + 1), err);
    }
    osr_audit_file_close(file);
    return code;
}

/* ---- all of them ---- */

static size_t first_wanted(const struct reading *reading)
{
    size_t i = 0;
    size_t count = osr_audit_listed_count(&reading->numbers);

    while (i + 1 < count &&
           osr_audit_listed(&reading->numbers, i + 1) <= reading->wanted->from_number) {
        i++;
    }
    return i;
}

/* The first one that is still there: the oldest may have gone meanwhile. */
static int read_first(struct reading *reading, struct osr_err *err)
{
    for (size_t i = first_wanted(reading); i < osr_audit_listed_count(&reading->numbers); i++) {
        bool is_there = false;
        int code = read_file(reading, osr_audit_listed(&reading->numbers, i), &is_there, err);
        if (code != 0 || is_there) {
            return code;
        }
    }
    return (int)osr_err_set(err, OSR_NOT_FOUND, "%s has no audit log", reading->folder);
}

/* Up to the one that does not exist yet; those that have come since the reading began, too. */
static int read_on(struct reading *reading, struct osr_err *err)
{
    bool is_there = true;
    int code = 0;

    while (code == 0 && is_there) {
        uint64_t next = reading->head.number + 1;
        is_there = false;
        if (next > reading->first) { /* else the last one has no records yet */
            code = read_file(reading, next, &is_there, err);
        }
        if (code == 0 && !is_there && is_listed_from(reading, reading->first + 1)) {
            code = (int)osr_err_set(err, OSR_CORRUPT,
                                    "the audit log's records from %" PRIu64 " on are missing (%s)",
                                    next, reading->folder);
        }
    }
    return code;
}

int osr_audit_log_read(struct osr_disk *disk, const char *folder,
                       const struct osr_audit_wanted *wanted, osr_audit_visit *visit, void *context,
                       struct osr_audit_head *ret_head, struct osr_err *err)
{
    struct reading reading = {
        .disk = disk,
        .folder = osr_audit_folder(folder),
        .wanted = wanted,
        .visit = visit,
        .context = context,
    };
    int code = osr_audit_list(disk, reading.folder, &reading.numbers, err);

    if (code == 0) {
        code = read_first(&reading, err);
    }
    if (code == 0) {
        code = read_on(&reading, err);
    }
    *ret_head = reading.head;
    osr_buffer_done(&reading.texts);
    osr_buffer_done(&reading.numbers);
    free(reading.folder);
    return code;
}
