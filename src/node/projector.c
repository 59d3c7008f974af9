#include "node/projector.h"

#include <stdlib.h>

#include "node/facts.h"
#include "node/ledger_log.h"

enum {
    ROWS_MAX = 65536, /* in one transaction: enough for sorting to pay, short enough to wait for */
    BATCH_BYTES_MAX = 16 << 20,
    /* Above BATCH_BYTES_MAX by more than any one entry. */
    ARENA_CAP = 64 << 20,
    /* Documents indexed in one step: about 2 ms, in which entries wait. */
    INDEX_STEP = 512,
};

struct osr_projector {
    char *folder;
    struct osr_bodies bodies;
    struct osr_journal *journal;
    struct osr_store *store; /* NULL: could not be opened yet */
    uint64_t reached;        /* behind the last row applied there may be records without rows */

    /* The batch that is being collected. */
    struct osr_arena *arena;
    struct osr_store_item *items;
    size_t count;
};

/* A walk over the log, for one batch. */
struct walk {
    struct osr_projector *projector;
    uint64_t target;
    uint64_t reached;
    uint32_t log_id; /* of `feed` */
    const struct osr_feed_id *feed;
};

enum { ENOUGH = -1 };

/* Whatever is projected lies within the log, unless the log has lost its end. */
static int check_against_log(const struct osr_projector *projector, struct osr_err *err)
{
    uint64_t last = osr_wal_last_ordinal(osr_journal_wal(projector->journal));
    if (projector->reached <= last) {
        return 0;
    }
    osr_err_set(err, OSR_CORRUPT,
                "the log ends at record %llu, but the projection was made from %llu: the log has "
                "lost its end",
                (unsigned long long)last, (unsigned long long)projector->reached);
    osr_err_hint(err, "bring back the missing files of the log; or, to go on with what is left, "
                      "`osiris rebuild`");
    return OSR_CORRUPT;
}

static int open_store(struct osr_projector *projector, struct osr_err *err)
{
    int code = osr_store_open(projector->folder, &projector->bodies, &projector->store, err);
    if (code != 0) {
        return code;
    }
    projector->reached = osr_store_applied(projector->store);
    code = check_against_log(projector, err);
    if (code != 0) {
        osr_store_close(projector->store);
        projector->store = NULL;
        projector->reached = 0;
    }
    return code;
}

struct osr_projector *osr_projector_create(const char *folder, const struct osr_bodies *bodies,
                                           struct osr_journal *journal, struct osr_err *ret_err)
{
    struct osr_projector *projector = osr_alloc(sizeof(*projector));
    projector->folder = osr_strdup(folder);
    projector->bodies = *bodies;
    projector->journal = journal;
    projector->arena = osr_arena_create(BATCH_BYTES_MAX, ARENA_CAP);
    projector->items = osr_alloc(ROWS_MAX * sizeof(projector->items[0]));
    if (open_store(projector, ret_err) == 0) {
        *ret_err = (struct osr_err){.code = OSR_OK};
    }
    return projector;
}

void osr_projector_destroy(struct osr_projector *projector)
{
    if (projector != NULL) {
        osr_store_close(projector->store);
        osr_arena_destroy(projector->arena);
        free(projector->items);
        free(projector->folder);
        free(projector);
    }
}

uint64_t osr_projector_reached(const struct osr_projector *projector)
{
    return projector->reached;
}

static bool is_full(const struct osr_projector *projector)
{
    return projector->count == ROWS_MAX || osr_arena_used(projector->arena) >= BATCH_BYTES_MAX;
}

static struct osr_slice keep(struct osr_projector *projector, struct osr_slice bytes)
{
    uint8_t *copy = osr_arena_take(projector->arena, bytes.size);
    if (copy == NULL) {
        return osr_slice(NULL, 0);
    }
    memcpy(copy, bytes.data, bytes.size);
    return osr_slice(copy, bytes.size);
}

static int collect_entry(struct walk *walk, const struct osr_wal_record *record,
                         struct osr_err *err)
{
    struct osr_projector *projector = walk->projector;
    if (record->log_id != walk->log_id || walk->feed == NULL) {
        walk->log_id = record->log_id;
        walk->feed = osr_journal_feed(projector->journal, record->log_id);
    }
    if (walk->feed != NULL &&
        strcmp(walk->feed->stream, osr_feed_stream_name(OSR_STREAM_KB)) != 0) {
        return 0; /* no document of the knowledge base */
    }
    if (walk->feed == NULL || record->payload.size < OSR_SHA256_SIZE + OSR_STORED_HEAD_SIZE) {
        return osr_err_set(err, OSR_CORRUPT, "record %llu of the log: no entry of a known feed",
                           (unsigned long long)record->ordinal);
    }
    Osr__Entry *entry;
    int code = osr_entry_decode(osr_record_stored(record->payload), record->index, projector->arena,
                                &entry, err);
    if (code != 0) {
        return osr_err_prefix(err, "record %llu of the log", (unsigned long long)record->ordinal);
    }
    /* These point into the record; the store does not look at them. */
    entry->document->data = NULL;
    entry->document->source = NULL;
    projector->items[projector->count++] = (struct osr_store_item){
        .ordinal = record->ordinal,
        .log_id = record->log_id,
        .index = record->index,
        .origin = walk->feed->origin,
        .entry = entry,
    };
    return 0;
}

static int collect_fact(struct osr_projector *projector, const struct osr_wal_record *record,
                        struct osr_err *err)
{
    struct osr_wal_record kept = *record;
    kept.payload = keep(projector, record->payload);
    struct osr_store_item item = {.ordinal = record->ordinal};
    int code = osr_fact_decode(&kept, &item.key, &item.value, err);
    if (code == 0) {
        projector->items[projector->count++] = item;
    }
    return code;
}

static int visit(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct walk *walk = context;
    if (record->ordinal > walk->target) {
        walk->reached = walk->target;
        return ENOUGH;
    }
    if (is_full(walk->projector)) {
        return ENOUGH;
    }
    int code = 0;
    if (osr_ledger_log_has(record)) {
        /* nothing to project */
    } else if (record->type == OSR_WAL_ENTRY) {
        code = collect_entry(walk, record, err);
    } else if (record->type == OSR_WAL_FACT) {
        code = collect_fact(walk->projector, record, err);
    }
    if (code == 0) {
        walk->reached = record->ordinal;
    }
    return code;
}

static int apply(struct osr_projector *projector, struct osr_step *step)
{
    struct walk walk = {.projector = projector, .target = step->target};
    walk.reached = projector->reached;
    projector->count = 0;
    osr_arena_reset(projector->arena);

    int code = osr_wal_read_from(osr_journal_wal(projector->journal), projector->reached + 1, visit,
                                 &walk, &step->err);
    if (code == 0) {
        walk.reached = step->target; /* the log ends there, or in records that were cut off */
    } else if (code != ENOUGH) {
        return code;
    }
    if (projector->count > 0) {
        code = osr_store_apply(projector->store, projector->items, projector->count, &step->err);
        if (code != 0) {
            return code;
        }
        step->is_index_behind = true;
    }
    projector->reached = walk.reached;
    return 0;
}

/* Where it fails half-way there is no store, and the next step opens what is there then. */
static int reset(struct osr_projector *projector, struct osr_err *err)
{
    osr_store_close(projector->store);
    projector->store = NULL;
    projector->reached = 0;
    int code = osr_store_set_aside(projector->folder, err);
    if (code == 0) {
        code = open_store(projector, err);
    }
    return code;
}

static int run(struct osr_projector *projector, struct osr_step *step)
{
    if (step->kind == OSR_STEP_RESET) {
        return reset(projector, &step->err);
    }
    int code = projector->store != NULL ? 0 : open_store(projector, &step->err);
    if (code != 0) {
        return code;
    }
    if (step->kind == OSR_STEP_APPLY) {
        return apply(projector, step);
    }
    uint64_t left = 0;
    code = osr_store_index(projector->store, INDEX_STEP, &left, &step->err);
    step->is_index_behind = left > 0;
    return code;
}

void osr_projector_skip(struct osr_projector *projector, uint64_t ordinal)
{
    projector->reached = ordinal;
}

void osr_projector_run(struct osr_projector *projector, struct osr_step *step)
{
    if (run(projector, step) == 0) {
        step->err.code = OSR_OK;
    }
    step->reached = projector->reached;
}
