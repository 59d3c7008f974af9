#include "node/trust_feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/trust_record.h"

#define CURSOR_PREFIX "trust:"

enum {
    CHUNK_ENTRIES_MAX = 256, /* read in one go: so much work is done in one turn of the loop */
    CHUNK_BYTES_MAX = 1 << 20,
    ARENA_KEEP = 64 << 10,
    ARENA_CAP = 4 << 20, /* for one entry, which is OSR_TRUST_RECORD_BYTES_MAX where it counts */
    CURSOR_KEY_SIZE = sizeof(CURSOR_PREFIX) + OSR_INSTANCE_CHARS + sizeof(":18446744073709551615"),
};

/* A feed of the stream. 0 <= durable <= applied <= committed. */
struct source {
    struct source *next;
    struct osr_trust_feed *trust;
    struct osr_feed_id feed;
    uint64_t committed;
    uint64_t applied;       /* in force */
    uint64_t durable;       /* the cursor, as written */
    uint64_t unknown_at;    /* the first entry that was not understood; UINT64_MAX: none */
    size_t facts_under_way; /* of entries up to `applied` */
    bool has_lost_facts;    /* the disk did not take one: the cursor stays until the next start */
    bool is_reading;
};

/* Entries that are read from the log, on the thread. */
struct chunk {
    struct osr_job job; /* first */
    struct source *source;
    uint64_t first;
    uint64_t last;
    struct osr_batch batch; /* what was read */
    struct osr_err err;
};

/* A change of a credential, until the core has written it. */
struct change {
    struct change *next;
    struct osr_trust_feed *trust;
    struct osr_trust_record record;
    bool is_storing; /* the journal has its fact */
    void (*written)(void *context, enum osr_code code);
    void *context;
};

struct osr_trust_feed {
    struct osr_trust_feed_options options;
    struct osr_credentials *credentials;
    struct osr_worker *worker;
    struct osr_arena *arena;
    struct source *sources;
    struct change *changes;
    bool is_started;
    bool is_current;
    bool has_warned; /* that something is not understood */
    bool is_closing;
};

/* ---- the changes of this instance ---- */

static void end_change(struct change *change, enum osr_code code)
{
    struct change **link = &change->trust->changes;
    while (*link != change) {
        link = &(*link)->next;
    }
    *link = change->next;
    change->written(change->context, code);
    osr_trust_record_done(&change->record);
    free(change);
}

static void hand_over(struct change *change)
{
    const struct osr_trust_feed_options *options = &change->trust->options;
    const struct osr_feed_put put = {OSR__OPERATION__PUT, &change->record.document};
    options->write(options->context, (uint64_t)(uintptr_t)change, &put);
}

/* An invitation is good here, where its hash is; that it travels as well is for people. */
static void on_invitation_stored(void *context, enum osr_code code)
{
    struct change *change = context;
    change->is_storing = false;
    if (code == OSR_OK && !change->trust->is_closing) {
        hand_over(change);
    } else {
        end_change(change, code);
    }
}

static int make_change(struct osr_trust_feed *trust, const struct osr_credential *credential,
                       struct change **ret_change)
{
    struct change *change = osr_alloc(sizeof(*change));
    struct osr_err err;
    int code = osr_trust_record_write(&change->record, credential, &err);
    if (code != 0) {
        free(change);
        return code;
    }
    change->trust = trust;
    change->next = trust->changes;
    trust->changes = change;
    *ret_change = change;
    return 0;
}

bool osr_trust_feed_leads(const struct osr_trust_feed *trust)
{
    return trust->options.may_lead(trust->options.context, trust->options.instance);
}

static bool travels(const struct osr_trust_feed *trust, const char *key, struct osr_slice value)
{
    enum osr_credential_kind kind;
    return value.size > 0 && osr_credential_kind_of_key(key, &kind, NULL) == 0 &&
           osr_trust_record_travels(kind) && osr_trust_feed_leads(trust);
}

static void publish(struct osr_trust_feed *trust, const char *key, struct osr_slice value,
                    void (*written)(void *context, enum osr_code code), void *written_context)
{
    struct osr_credential credential;
    struct change *change = NULL;
    char *texts = osr_alloc(value.size);
    int code = osr_credential_decode(key, value, texts, &credential, NULL);
    assert(code == 0); /* the fact is one of ours */
    code = make_change(trust, &credential, &change);
    if (code != 0) {
        free(texts);
        written(written_context, (enum osr_code)code);
        return;
    }
    change->written = written;
    change->context = written_context;
    if (credential.kind == OSR_CREDENTIAL_INVITATION) {
        change->is_storing = true;
        osr_journal_fact(trust->options.journal, key, value, on_invitation_stored, change);
    } else {
        hand_over(change);
    }
    free(texts);
}

void osr_trust_feed_write(void *context, const char *key, struct osr_slice value,
                          void (*written)(void *context, enum osr_code code), void *written_context)
{
    struct osr_trust_feed *trust = context;
    bool is_to_travel = travels(trust, key, value);
    if (is_to_travel && trust->is_closing) {
        written(written_context, OSR_CANCELLED); /* the core would answer nothing */
    } else if (is_to_travel) {
        publish(trust, key, value, written, written_context);
    } else {
        osr_journal_fact(trust->options.journal, key, value, written, written_context);
    }
}

void osr_trust_feed_written(struct osr_trust_feed *trust, uint64_t token, enum osr_code code)
{
    struct change *change = (struct change *)(uintptr_t)token;
    assert(change->trust == trust);
    (void)trust;
    end_change(change, code);
}

/* ---- the cursor ---- */

static void write_cursor_key(const struct source *source, char key[CURSOR_KEY_SIZE])
{
    snprintf(key, CURSOR_KEY_SIZE, CURSOR_PREFIX "%s:%llu", source->feed.origin,
             (unsigned long long)source->feed.epoch);
}

static void read_cursor(void *context, const char *key, struct osr_slice value)
{
    struct source *source = context;
    char own_key[CURSOR_KEY_SIZE];
    write_cursor_key(source, own_key);
    if (strcmp(key, own_key) == 0 && value.size == 8) {
        source->durable = source->applied = osr_get_u64(value.data);
    }
}

/* Once all that it stands for is on the disk. */
static void move_cursor(struct source *source)
{
    struct osr_journal *journal = source->trust->options.journal;
    uint64_t reached =
        source->applied < source->unknown_at ? source->applied : source->unknown_at - 1;
    if (source->facts_under_way > 0 || source->has_lost_facts || reached <= source->durable ||
        source->trust->is_closing) {
        return;
    }
    char key[CURSOR_KEY_SIZE];
    uint8_t value[8];
    write_cursor_key(source, key);
    osr_put_u64(value, reached);
    source->durable = reached;
    osr_journal_fact(journal, key, osr_slice(value, sizeof(value)), NULL, NULL);
}

static void on_fact_stored(void *context, enum osr_code code)
{
    struct source *source = context;
    source->facts_under_way--;
    source->has_lost_facts |= code != OSR_OK;
    move_cursor(source);
}

/* ---- applying ---- */

static bool may_lead(const struct source *source)
{
    const struct osr_trust_feed_options *options = &source->trust->options;
    return options->may_lead(options->context, source->feed.origin);
}

static bool is_own(const struct source *source)
{
    return strcmp(source->feed.origin, source->trust->options.instance) == 0;
}

static int adopt(struct source *source, const struct osr_credential *credential,
                 struct osr_err *err)
{
    struct osr_trust_feed *trust = source->trust;
    struct osr_buffer value = {0};
    char *key = osr_credential_key(credential);
    osr_credential_encode(credential, &value);
    uint64_t now_ms = trust->options.time_ms(trust->options.context);
    int code =
        osr_credentials_adopt(trust->credentials, key, osr_buffer_slice(&value), now_ms, err);
    if (code == 0) {
        source->facts_under_way++;
        osr_journal_fact(trust->options.journal, key, osr_buffer_slice(&value), on_fact_stored,
                         source);
    }
    osr_buffer_done(&value);
    free(key);
    return code;
}

static int apply_entry(struct source *source, uint64_t sequence, struct osr_slice stored,
                       struct osr_err *err)
{
    struct osr_trust_feed *trust = source->trust;
    struct osr_credential credential;
    Osr__Entry *entry = NULL;
    osr_arena_reset(trust->arena);
    int code = osr_entry_decode(stored, sequence, trust->arena, &entry, err);
    if (code == 0) {
        code = osr_trust_record_read(entry->document, trust->arena, &credential, err);
    }
    if (code != 0) {
        return code;
    }
    /* The own invitations are facts, with their hashes. */
    bool is_known = is_own(source) && credential.kind == OSR_CREDENTIAL_INVITATION;
    return is_known ? 0 : adopt(source, &credential, err);
}

static void note_unknown(struct source *source, uint64_t sequence, const struct osr_err *err)
{
    struct osr_trust_feed *trust = source->trust;
    if (source->unknown_at == UINT64_MAX) {
        source->unknown_at = sequence;
    }
    if (!trust->has_warned) {
        osr_trace(trust->options.trace, OSR_LEVEL_WARNING,
                  "trust: entry %llu of %s is not understood: %s; all that is understood is in "
                  "force, and a newer osirisd will read the rest",
                  (unsigned long long)sequence, source->feed.origin, err->message);
    }
    trust->has_warned = true;
}

static void apply(struct source *source, const struct osr_batch *batch)
{
    struct osr_trust_feed *trust = source->trust;
    for (size_t i = 0; i < batch->count; i++) {
        uint64_t sequence = batch->first + i;
        struct osr_slice stored = osr_record_stored(osr_batch_record(batch, i));
        struct osr_err err;
        int code = apply_entry(source, sequence, stored, &err);
        if (code == OSR_UNSUPPORTED_VERSION) {
            note_unknown(source, sequence, &err);
        } else if (code != 0) {
            osr_trace(trust->options.trace, OSR_LEVEL_ERROR,
                      "trust: entry %llu of %s is passed over: %s", (unsigned long long)sequence,
                      source->feed.origin, err.message);
        }
        source->applied = sequence;
    }
    move_cursor(source);
}

static void apply_and_tell(struct source *source, const struct osr_batch *batch)
{
    const struct osr_trust_feed *trust = source->trust;
    uint64_t revision = osr_credentials_revision(trust->credentials);
    apply(source, batch);
    if (osr_credentials_revision(trust->credentials) != revision) {
        trust->options.on_changed(trust->options.context);
    }
}

/* ---- reading the log ---- */

enum { ENOUGH = -1 };

static int collect(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct chunk *chunk = context;
    struct osr_batch *batch = &chunk->batch;
    (void)err;
    if (record->type != OSR_WAL_ENTRY) {
        return 0;
    }
    bool is_next = record->index == chunk->first + batch->count && record->index <= chunk->last;
    if (!is_next || batch->count == CHUNK_ENTRIES_MAX || batch->bytes.size > CHUNK_BYTES_MAX) {
        return ENOUGH;
    }
    osr_buffer_add(&batch->bytes, record->payload.data, record->payload.size);
    osr_batch_close_entry(batch);
    return 0;
}

static void work(void *context, struct osr_job *job)
{
    const struct osr_trust_feed *trust = context;
    struct chunk *chunk = (struct chunk *)job;
    struct osr_journal *journal = trust->options.journal;
    uint32_t log_id = osr_journal_find_log(journal, &chunk->source->feed);
    chunk->batch.first = chunk->first;
    int code =
        osr_wal_read(osr_journal_wal(journal), log_id, chunk->first, collect, chunk, &chunk->err);
    if (chunk->batch.count > 0) {
        chunk->err.code = OSR_OK; /* the next chunk says what is wrong behind it */
    } else if (code == 0 || code == ENOUGH) {
        osr_err_set(&chunk->err, OSR_CORRUPT, "entry %llu is not in the log",
                    (unsigned long long)chunk->first);
    }
}

static void read_on(struct source *source)
{
    if (source->is_reading || source->applied >= source->committed || !may_lead(source)) {
        return;
    }
    struct chunk *chunk = osr_alloc(sizeof(*chunk));
    chunk->source = source;
    chunk->first = source->applied + 1;
    chunk->last = source->committed;
    source->is_reading = true;
    osr_worker_submit(source->trust->worker, &chunk->job);
}

static bool is_behind(const struct source *source)
{
    return source->applied < source->committed && may_lead(source);
}

static void settle(struct osr_trust_feed *trust)
{
    bool is_current = trust->is_started;
    for (const struct source *source = trust->sources; source != NULL; source = source->next) {
        is_current = is_current && !is_behind(source);
    }
    if (is_current && !trust->is_current) {
        trust->is_current = true;
        trust->options.on_changed(trust->options.context);
    }
}

static void on_chunk(void *context, struct osr_job *job)
{
    struct osr_trust_feed *trust = context;
    struct chunk *chunk = (struct chunk *)job;
    struct source *source = chunk->source;
    source->is_reading = false;
    if (trust->is_closing) {
        /* Read again at the next start. */
    } else if (chunk->err.code != OSR_OK) {
        osr_trace(trust->options.trace, OSR_LEVEL_ERROR,
                  "trust: what %s says cannot be read, and no entries are taken until it can: %s",
                  source->feed.origin, chunk->err.message);
    } else if (may_lead(source)) {
        apply_and_tell(source, &chunk->batch);
        read_on(source);
        settle(trust);
    }
    osr_batch_done(&chunk->batch);
    free(chunk);
}

/* ---- feeds ---- */

static struct source *find_source(struct osr_trust_feed *trust, const struct osr_feed_id *feed)
{
    struct source *source = trust->sources;
    while (source != NULL && !osr_feed_id_equal(&source->feed, feed)) {
        source = source->next;
    }
    if (source != NULL) {
        return source;
    }
    source = osr_alloc(sizeof(*source));
    source->trust = trust;
    source->feed = *feed;
    source->unknown_at = UINT64_MAX;
    source->next = trust->sources;
    trust->sources = source;
    osr_journal_facts(trust->options.journal, CURSOR_PREFIX, read_cursor, source);
    return source;
}

void osr_trust_feed_released(struct osr_trust_feed *trust, const struct osr_batch *batch)
{
    if (trust->is_closing) {
        return;
    }
    struct source *source = find_source(trust, &batch->feed);
    source->committed = osr_batch_last(batch);
    bool is_next = !source->is_reading && source->applied + 1 == batch->first;
    if (!is_next || !may_lead(source)) {
        read_on(source);
        return;
    }
    apply_and_tell(source, batch);
}

void osr_trust_feed_restored(struct osr_trust_feed *trust, const struct osr_feed_id *feed,
                             uint64_t sequence)
{
    struct source *source = find_source(trust, feed);
    source->committed = sequence;
    /* Where the log has lost its end, what comes instead is read. */
    source->applied = source->applied < sequence ? source->applied : sequence;
    source->durable = source->applied;
}

void osr_trust_feed_start(struct osr_trust_feed *trust)
{
    trust->is_started = true;
    osr_trust_feed_review(trust);
}

void osr_trust_feed_review(struct osr_trust_feed *trust)
{
    if (!trust->is_started || trust->is_closing) {
        return;
    }
    for (struct source *source = trust->sources; source != NULL; source = source->next) {
        read_on(source);
    }
    settle(trust);
}

bool osr_trust_feed_is_current(const struct osr_trust_feed *trust)
{
    return trust->is_current;
}

/* ---- open and close ---- */

int osr_trust_feed_open(const struct osr_trust_feed_options *options,
                        struct osr_trust_feed **ret_trust, struct osr_err *err)
{
    struct osr_trust_feed *trust = osr_alloc(sizeof(*trust));
    const struct osr_worker_options worker = {
        .name = "trust", .work = work, .done = on_chunk, .context = trust, .batch_max = 1};
    trust->options = *options;
    int code = osr_worker_create(options->loop, &worker, &trust->worker, err);
    if (code != 0) {
        free(trust);
        return code;
    }
    trust->arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    *ret_trust = trust;
    return 0;
}

void osr_trust_feed_set_credentials(struct osr_trust_feed *trust,
                                    struct osr_credentials *credentials)
{
    trust->credentials = credentials;
}

void osr_trust_feed_close(struct osr_trust_feed *trust)
{
    if (trust == NULL) {
        return;
    }
    trust->is_closing = true;
    osr_worker_destroy(trust->worker);
    struct change *change = trust->changes;
    while (change != NULL) {
        struct change *next = change->next;
        if (!change->is_storing) { /* else the journal's close ends it */
            end_change(change, OSR_CANCELLED);
        }
        change = next;
    }
}

void osr_trust_feed_free(struct osr_trust_feed *trust)
{
    if (trust == NULL) {
        return;
    }
    while (trust->sources != NULL) {
        struct source *source = trust->sources;
        trust->sources = source->next;
        free(source);
    }
    osr_arena_destroy(trust->arena);
    free(trust);
}
