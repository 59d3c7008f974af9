/* What arrives by wire from seed peers, which name neither ids nor sources.
 *
 * The nth arrival of equal data is the document whose source is OSR_SEED_SOURCE, with that
 * digest and n as occurrence: the one that a followed file brings as its nth entry of equal
 * data. How often data has arrived is a fact, "seen:" and the digest in hex.
 *
 * Arrivals go in groups, one at a time: look up how often each has been seen, write the facts,
 * and once these are durable the documents, and answer. Facts too new for the projection are kept
 * in memory.
 *
 * The fact comes first because a number that was given to a document must never be given again:
 * the next arrival of equal data would be taken for the one stored already, and be lost. A
 * number without a document, after a crash in between or a write that failed, does no harm. That
 * arrival was lost with the crash, as it would have been a moment sooner, for seed peers never send
 * again; a followed file still brings it, as the entry with that very number. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"
#include "node/facts.h"
#include "node/knowledge_internal.h"

/* That wait: stops a peer that sends faster than the disk writes. Past half of it no further
 * requests are read, for what is refused here is lost: seed peers never send again. */
enum { WAITING_BYTES_MAX = 16 << 20 };

/* How often one piece of data has been seen. */
struct count {
    uint64_t count;   /* 0: not looked up yet */
    uint64_t ordinal; /* the projection has the fact from here on; UINT64_MAX: not known yet */
    char key[sizeof(OSR_FACT_SEEN_PREFIX) + 2 * (size_t)OSR_SHA256_SIZE];
};

struct arrival {
    struct arrival *next;
    struct osr_arrivals *arrivals;
    void (*done)(void *context, const struct osr_write_result *result);
    void *context;
    struct osr_buffer data;
    struct osr_hash digest;
    struct count *count; /* NULL: it cannot be counted, or is already */
    uint64_t occurrence; /* 0: it cannot be counted */
    enum osr_code code;
    struct osr_version version;
    uint64_t sequence;
    uint64_t written;
    uint64_t existed;
    char id[OSR_ID_BYTES_MAX + 1];
};

/* Facts being written; outlives the arrivals where the journal answers late. */
struct noting {
    struct osr_arrivals *arrivals; /* NULL: gone */
    size_t open;
    enum osr_code code;
};

struct osr_arrivals {
    struct osr_reading_job job; /* first */
    struct osr_projection_wait wait;
    struct osr_knowledge *knowledge;
    struct arrival *waiting;
    struct arrival **waiting_end;
    size_t waiting_bytes;
    struct arrival *group;
    size_t open; /* of the group, documents not yet written */
    struct noting *noting;
    struct osr_map *counts; /* by key; the values are owned */
    struct osr_err lookup_err;
};

static void start_group(struct osr_arrivals *arrivals);

static struct osr_slice key_of(const struct count *count)
{
    return osr_slice_text(count->key);
}

/* With their own results, unless code says what happened to all of them; frees them. */
static void answer_all(struct arrival *arrival, enum osr_code code)
{
    while (arrival != NULL) {
        struct arrival *next = arrival->next;
        struct osr_write_result result = {
            .code = code != OSR_OK ? code : arrival->code,
            .id = arrival->id,
            .version = arrival->version,
            .sequence = arrival->sequence,
            .written = arrival->written,
            .existed = arrival->existed,
        };
        arrival->done(arrival->context, &result);
        osr_buffer_done(&arrival->data);
        free(arrival);
        arrival = next;
    }
}

static void finish_group(struct osr_arrivals *arrivals, enum osr_code code)
{
    struct arrival *group = arrivals->group;
    arrivals->group = NULL;
    answer_all(group, code);
    start_group(arrivals);
}

/* ---- documents ---- */

static void end_one(struct osr_arrivals *arrivals)
{
    if (--arrivals->open == 0 && !arrivals->knowledge->is_closing) {
        finish_group(arrivals, OSR_OK);
    }
}

static void on_written(void *context, const struct osr_write_result *result)
{
    struct arrival *arrival = context;
    arrival->code = result->code;
    arrival->version = result->version;
    arrival->sequence = result->sequence;
    arrival->written = result->written;
    arrival->existed = result->existed;
    snprintf(arrival->id, sizeof(arrival->id), "%s", result->id);
    end_one(arrival->arrivals);
}

static void write_document(struct arrival *arrival)
{
    Osr__Json data = OSR__JSON__INIT;
    Osr__Source source = OSR__SOURCE__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__Document *documents[] = {&document};
    data.text = (ProtobufCBinaryData){arrival->data.size, arrival->data.data};
    document.data = &data;
    if (arrival->occurrence > 0) {
        source.name = (char *)(uintptr_t)OSR_SEED_SOURCE;
        source.digest = (ProtobufCBinaryData){OSR_SHA256_SIZE, arrival->digest.bytes};
        source.occurrence = arrival->occurrence;
        document.source = &source;
    }
    osr_knowledge_write(arrival->arrivals->knowledge, NULL, OSR_WRITE_IMPORT, documents, 1, 0, 0,
                        on_written, arrival);
}

static void write_documents(struct osr_arrivals *arrivals)
{
    arrivals->open = 1; /* until all are submitted */
    for (struct arrival *arrival = arrivals->group; arrival != NULL; arrival = arrival->next) {
        arrivals->open++;
        write_document(arrival);
    }
    end_one(arrivals);
}

/* ---- facts ---- */

/* Counts can be forgotten once the log is projected up to here: their facts then say the same, or
 * have found no room, and no document bears a number behind them. */
static void release_counts(struct osr_arrivals *arrivals)
{
    uint64_t last = osr_wal_last_ordinal(osr_journal_wal(arrivals->knowledge->options.journal));
    for (struct arrival *arrival = arrivals->group; arrival != NULL; arrival = arrival->next) {
        if (arrival->count != NULL) {
            arrival->count->ordinal = last;
            arrival->count = NULL;
        }
    }
}

static void on_noted(void *context, enum osr_code code)
{
    struct noting *noting = context;
    noting->code = code != OSR_OK ? code : noting->code;
    if (--noting->open > 0) {
        return;
    }
    struct osr_arrivals *arrivals = noting->arrivals;
    code = noting->code;
    free(noting);
    if (arrivals == NULL) {
        return;
    }
    arrivals->noting = NULL;
    release_counts(arrivals);
    if (code == OSR_OK) {
        write_documents(arrivals);
    } else {
        finish_group(arrivals, code);
    }
}

static void note(struct noting *noting, struct osr_journal *journal, const struct count *count)
{
    char value[24];
    snprintf(value, sizeof(value), "%llu", (unsigned long long)count->count);
    noting->open++;
    osr_journal_fact(journal, count->key, osr_slice_text(value), on_noted, noting);
}

/* Gives the arrivals their numbers; of equal ones the last has the count's. */
static void number_all(struct osr_arrivals *arrivals)
{
    for (struct arrival *arrival = arrivals->group; arrival != NULL; arrival = arrival->next) {
        if (arrival->count != NULL) {
            arrival->occurrence = ++arrival->count->count;
        }
    }
}

static void note_all(struct osr_arrivals *arrivals)
{
    struct noting *noting = osr_alloc(sizeof(*noting));
    noting->arrivals = arrivals;
    noting->open = 1; /* until all are submitted */
    arrivals->noting = noting;
    number_all(arrivals);
    for (const struct arrival *arrival = arrivals->group; arrival != NULL;
         arrival = arrival->next) {
        const struct count *count = arrival->count;
        if (count != NULL && count->count == arrival->occurrence) {
            note(noting, arrivals->knowledge->options.journal, count);
        }
    }
    on_noted(noting, OSR_OK);
}

/* ---- counts ---- */

static int look_up(struct osr_store_reader *store, struct count *count, struct osr_err *err)
{
    struct osr_buffer value = {0};
    bool is_found;
    int code = osr_store_fact(store, key_of(count), &value, &is_found, err);
    if (code == 0 && is_found) {
        osr_buffer_add_u8(&value, '\0');
        count->count = strtoull((const char *)value.data, NULL, 10);
    }
    osr_buffer_done(&value);
    return code;
}

static void work(struct osr_reading_job *job, struct osr_reading *reading)
{
    struct osr_arrivals *arrivals = (struct osr_arrivals *)job;
    struct osr_store_reader *store;
    struct osr_err *err = &arrivals->lookup_err;
    err->code = OSR_OK;
    if (osr_reading_store(reading, &store, err) != 0) {
        return;
    }
    for (const struct arrival *arrival = arrivals->group; arrival != NULL;
         arrival = arrival->next) {
        struct count *count = arrival->count;
        if (count->count == 0 && look_up(store, count, err) != 0) {
            return;
        }
    }
}

/* Without counts the documents are written all the same, without a source: better twice than
 * not at all. */
static void write_uncounted(struct osr_arrivals *arrivals, const struct osr_err *err)
{
    osr_trace(&arrivals->knowledge->options.trace, OSR_LEVEL_WARNING,
              "arrivals cannot be counted, and are written without a source: %s", err->message);
    for (struct arrival *arrival = arrivals->group; arrival != NULL; arrival = arrival->next) {
        struct count *count = arrival->count;
        if (count != NULL && count->count == 0) {
            for (struct arrival *other = arrival; other != NULL; other = other->next) {
                other->count = other->count == count ? NULL : other->count;
            }
            free(osr_map_remove(arrivals->counts, key_of(count)));
        }
    }
    note_all(arrivals);
}

static void looked_up(struct osr_reading_job *job)
{
    struct osr_arrivals *arrivals = (struct osr_arrivals *)job;
    if (arrivals->knowledge->is_closing) {
        return;
    }
    if (arrivals->lookup_err.code != OSR_OK) {
        write_uncounted(arrivals, &arrivals->lookup_err);
    } else {
        note_all(arrivals);
    }
}

static void on_ready(struct osr_projection_wait *wait, const struct osr_err *err)
{
    struct osr_arrivals *arrivals =
        (struct osr_arrivals *)((char *)wait - offsetof(struct osr_arrivals, wait));
    if (arrivals->knowledge->is_closing) {
        return;
    }
    if (err != NULL) {
        write_uncounted(arrivals, err);
    } else {
        osr_reading_submit(arrivals->knowledge->lookups, &arrivals->job);
    }
}

static struct count *need_count(struct osr_arrivals *arrivals, const struct osr_hash *digest)
{
    struct count *count = osr_alloc(sizeof(*count));
    memcpy(count->key, OSR_FACT_SEEN_PREFIX, sizeof(OSR_FACT_SEEN_PREFIX));
    osr_hex_encode(count->key + strlen(count->key), osr_slice(digest->bytes, OSR_SHA256_SIZE));
    count->ordinal = UINT64_MAX;
    struct count *known = osr_map_get(arrivals->counts, key_of(count));
    if (known != NULL) {
        free(count);
        known->ordinal = UINT64_MAX; /* not to be forgotten while it is in use */
        return known;
    }
    osr_map_put(arrivals->counts, key_of(count), count);
    return count;
}

static void start_group(struct osr_arrivals *arrivals)
{
    if (arrivals->group != NULL || arrivals->waiting == NULL || arrivals->knowledge->is_closing) {
        return;
    }
    arrivals->group = arrivals->waiting;
    arrivals->waiting = NULL;
    arrivals->waiting_end = &arrivals->waiting;
    arrivals->waiting_bytes = 0;
    for (struct arrival *arrival = arrivals->group; arrival != NULL; arrival = arrival->next) {
        arrival->count = need_count(arrivals, &arrival->digest);
    }
    /* Facts behind this are in memory, or in the projection already. */
    arrivals->wait.ordinal = arrivals->knowledge->recent_from;
    osr_projection_await(arrivals->knowledge->projection, &arrivals->wait);
}

void osr_knowledge_write_arrival(struct osr_knowledge *knowledge, struct osr_slice data,
                                 void (*done)(void *context, const struct osr_write_result *result),
                                 void *context)
{
    struct osr_arrivals *arrivals = knowledge->arrivals;
    assert(!knowledge->is_closing);
    if (arrivals->waiting_bytes > WAITING_BYTES_MAX) {
        struct osr_write_result result = {.code = OSR_BUSY, .id = ""};
        done(context, &result);
        return;
    }
    struct arrival *arrival = osr_alloc(sizeof(*arrival));
    arrival->arrivals = arrivals;
    arrival->done = done;
    arrival->context = context;
    osr_buffer_add(&arrival->data, data.data, data.size);
    arrival->digest = osr_sha256(&data, 1);
    *arrivals->waiting_end = arrival;
    arrivals->waiting_end = &arrival->next;
    arrivals->waiting_bytes += sizeof(*arrival) + data.size;
    start_group(arrivals);
}

/* ---- for knowledge.c ---- */

struct osr_arrivals *osr_arrivals_create(struct osr_knowledge *knowledge)
{
    struct osr_arrivals *arrivals = osr_alloc(sizeof(*arrivals));
    arrivals->knowledge = knowledge;
    arrivals->job.work = work;
    arrivals->job.done = looked_up;
    arrivals->wait.ready = on_ready;
    arrivals->waiting_end = &arrivals->waiting;
    arrivals->counts = osr_map_create(knowledge->hash_key[0]);
    return arrivals;
}

static void forget_counts(struct osr_arrivals *arrivals, uint64_t ordinal)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *value;
    while (osr_map_next(arrivals->counts, &cursor, &key, &value)) {
        struct count *count = value;
        if (count->ordinal <= ordinal) {
            osr_map_remove(arrivals->counts, key);
            free(count);
        }
    }
}

bool osr_arrivals_are_many(const struct osr_arrivals *arrivals)
{
    return arrivals->waiting_bytes > WAITING_BYTES_MAX / 2;
}

void osr_arrivals_applied(struct osr_arrivals *arrivals, uint64_t ordinal)
{
    forget_counts(arrivals, ordinal);
}

void osr_arrivals_destroy(struct osr_arrivals *arrivals)
{
    if (arrivals == NULL) {
        return;
    }
    answer_all(arrivals->group, OSR_CANCELLED);
    answer_all(arrivals->waiting, OSR_CANCELLED);
    if (arrivals->noting != NULL) {
        arrivals->noting->arrivals = NULL;
    }
    forget_counts(arrivals, UINT64_MAX);
    osr_map_destroy(arrivals->counts);
    free(arrivals);
}
