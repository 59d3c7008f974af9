#include "lib/log_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int log_set_up(void **state)
{
    struct log_fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->sim = osr_sim_disk_create(3);
    fixture->disk = osr_sim_disk_port(fixture->sim);
    snprintf(fixture->folder, sizeof(fixture->folder), "log");
    fixture->options.segment_bytes_min = LOG_SMALL_BYTES;
    fixture->options.segment_bytes_max = LOG_LARGEST_BYTES;
    *state = fixture;
    return 0;
}

int log_tear_down(void **state)
{
    struct log_fixture *fixture = *state;

    osr_wal_close(fixture->wal);
    osr_sim_disk_destroy(fixture->sim);
    osr_buffer_done(&fixture->seen);
    free(fixture);
    return 0;
}

int log_open_code(struct log_fixture *fixture)
{
    fixture->seen.size = 0;
    return osr_wal_open(fixture->disk, fixture->folder, &fixture->options, log_see, fixture,
                        &fixture->wal, &fixture->err);
}

void log_open(struct log_fixture *fixture)
{
    assert_int_equal(log_open_code(fixture), 0);
}

void log_close(struct log_fixture *fixture)
{
    osr_wal_close(fixture->wal);
    fixture->wal = NULL;
}

void log_reopen(struct log_fixture *fixture)
{
    log_close(fixture);
    log_open(fixture);
}

struct osr_wal_record log_record(enum osr_wal_type type, uint32_t log_id, uint64_t index,
                                 const char *payload)
{
    return (struct osr_wal_record){
        .type = type,
        .format = 1,
        .log_id = log_id,
        .index = index,
        .payload = osr_slice_text(payload),
    };
}

int log_append_code(struct log_fixture *fixture, enum osr_wal_type type, uint32_t log_id,
                    uint64_t index, const char *payload)
{
    struct osr_wal_record record = log_record(type, log_id, index, payload);

    return osr_wal_append(fixture->wal, &record, 1, &fixture->err);
}

void log_append(struct log_fixture *fixture, enum osr_wal_type type, uint32_t log_id,
                uint64_t index, const char *payload)
{
    assert_int_equal(log_append_code(fixture, type, log_id, index, payload), 0);
}

void log_append_many(struct log_fixture *fixture, uint64_t total, size_t bytes)
{
    char *payload = osr_alloc(bytes + 1);

    while (osr_wal_last_ordinal(fixture->wal) < total) {
        uint64_t index = osr_wal_last_index(fixture->wal, 1) + 1;
        memset(payload, 'a' + (int)(index % 26), bytes);
        log_append(fixture, OSR_WAL_ENTRY, 1, index, payload);
    }
    free(payload);
}

void log_sync(struct log_fixture *fixture)
{
    assert_int_equal(osr_wal_sync(fixture->wal, &fixture->err), 0);
}

int log_see(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    static const char letters[] = "?FLEHTVB";
    struct log_fixture *fixture = context;

    (void)err;
    osr_buffer_add_format(&fixture->seen, "%c%u.%llu=%.*s ", letters[record->type], record->log_id,
                          (unsigned long long)record->index, (int)record->payload.size,
                          (const char *)record->payload.data);
    return 0;
}

const char *log_seen(struct log_fixture *fixture)
{
    osr_buffer_add(&fixture->seen, "", 1);
    fixture->seen.size--;
    return (const char *)fixture->seen.data;
}

const char *log_read(struct log_fixture *fixture, uint32_t log_id, uint64_t first)
{
    fixture->seen.size = 0;
    assert_int_equal(osr_wal_read(fixture->wal, log_id, first, log_see, fixture, &fixture->err), 0);
    return log_seen(fixture);
}

const char *log_read_from(struct log_fixture *fixture, uint64_t ordinal)
{
    fixture->seen.size = 0;
    assert_int_equal(osr_wal_read_from(fixture->wal, ordinal, log_see, fixture, &fixture->err), 0);
    return log_seen(fixture);
}

size_t log_segment_bytes(struct log_fixture *fixture, unsigned sequence)
{
    char *path = osr_format("%s/%010u.seg", fixture->folder, sequence);
    size_t size = osr_sim_disk_content(fixture->sim, path).size;

    free(path);
    return size;
}
