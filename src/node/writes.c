#include "node/writes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/id_maker.h"
#include "node/write_group.h"

enum {
    /* Of documents that wait to be looked up, beyond which writes get BUSY. */
    WAITING_BYTES_MAX = 32 << 20,
    ARENA_KEEP = 64 << 10,
    ARENA_CAP = 4 << 20, /* of one write's documents, without what they point to */
};

struct osr_writes {
    struct osr_knowledge *knowledge;
    struct osr_write_group *group;
    struct osr_id_maker id_maker;
    struct osr_arena *arena;
    struct osr_write *first;
    struct osr_write *unreleased; /* ended, but not released up to result.sequence */
    uint32_t own_log;             /* log id of the own feed, once it is known */
    uint64_t own_released;        /* last sequence of it */
};

Osr__Operation osr_write_operation(const struct osr_write *write)
{
    return write->mode == OSR_WRITE_DELETE ? OSR__OPERATION__DELETE : OSR__OPERATION__PUT;
}

/* ---- the end of a write ---- */

static void free_token(struct osr_write_token *token)
{
    osr_write_items_destroy(token->items);
    if (token != &token->write->first_token) {
        free(token);
    }
}

static void finish(struct osr_writes *writes, struct osr_write *write)
{
    *(write->previous != NULL ? &write->previous->next : &writes->first) = write->next;
    if (write->next != NULL) {
        write->next->previous = write->previous;
    }
    write->result.id = write->id;
    write->done(write->context, &write->result);
    osr_grant_release(write->grant);
    free(write);
}

void osr_write_settle(struct osr_writes *writes, struct osr_write *write)
{
    if (--write->open > 0) {
        return;
    }
    if (write->result.written > 0 && write->result.sequence > writes->own_released) {
        write->next_unreleased = writes->unreleased;
        writes->unreleased = write;
    } else {
        finish(writes, write);
    }
}

void osr_write_note_failure(struct osr_write *write, enum osr_code code)
{
    /* What failed says more than what merely took too long. */
    if (write->result.code == OSR_OK || write->result.code == OSR_TIMEOUT) {
        write->result.code = code;
    }
}

static void finish_released(struct osr_writes *writes)
{
    struct osr_write *write = writes->unreleased;
    writes->unreleased = NULL;
    while (write != NULL) {
        struct osr_write *next = write->next_unreleased;
        if (write->result.sequence > writes->own_released) {
            write->next_unreleased = writes->unreleased;
            writes->unreleased = write;
        } else {
            finish(writes, write);
        }
        write = next;
    }
}

/* ---- to the core and back ---- */

static struct osr_write_token *make_token(struct osr_write *write, size_t count,
                                          struct osr_write_item *items)
{
    bool is_first = write->first_token.write == NULL;
    struct osr_write_token *token = is_first ? &write->first_token : osr_alloc(sizeof(*token));
    token->write = write;
    token->count = count;
    token->items = items;
    token->next = write->tokens;
    write->tokens = token;
    write->open++;
    return token;
}

void osr_write_hand_over(struct osr_writes *writes, struct osr_write *write,
                         const struct osr_feed_put *puts, size_t count,
                         struct osr_write_item *items)
{
    const struct osr_knowledge_options *options = &writes->knowledge->options;
    uint64_t token = (uint64_t)(uintptr_t)make_token(write, count, items);
    options->write(options->context, token, puts, count, write->acks, write->timeout_ms);
}

static void take_token(struct osr_write *write, const struct osr_write_token *token)
{
    struct osr_write_token **link = &write->tokens;
    while (*link != token) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = token->next;
}

static void note_written(struct osr_knowledge *knowledge, const struct osr_write_token *token,
                         uint64_t first_sequence, struct osr_time first_time)
{
    struct osr_write_result *result = &token->write->result;
    uint64_t last = first_sequence + token->count - 1;
    result->written += token->count;
    result->sequence = last > result->sequence ? last : result->sequence;
    if (token->count == 1) {
        result->version.time = first_time;
        snprintf(result->version.origin, sizeof(result->version.origin), "%s", knowledge->instance);
    }
}

void osr_knowledge_written(struct osr_knowledge *knowledge, uint64_t number, enum osr_code code,
                           uint64_t first_sequence, struct osr_time first_time, uint32_t acks)
{
    struct osr_writes *writes = knowledge->writes;
    struct osr_write_token *token = (struct osr_write_token *)(uintptr_t)number;
    struct osr_write *write = token->write;
    (void)acks;
    take_token(write, token);

    if (code != OSR_OK) {
        osr_write_note_failure(write, code);
    }
    if (code == OSR_OK || code == OSR_TIMEOUT) {
        note_written(knowledge, token, first_sequence, first_time);
    } else {
        osr_write_group_leave(writes->group, token->items);
    }
    free_token(token);
    osr_write_settle(writes, write);
}

/* ---- the beginning of a write ---- */

static bool has_id(const Osr__Document *document)
{
    return document->id[0] != '\0';
}

/* What is written says neither which version it is nor, yet, what it supersedes. */
static Osr__Document strip(const Osr__Document *document)
{
    Osr__Document stripped = *document;
    stripped.version = NULL;
    stripped.n_supersedes = 0;
    stripped.supersedes = NULL;
    return stripped;
}

static void make_id(struct osr_writes *writes, const Osr__Document *document,
                    char id[OSR_ID_BYTES_MAX + 1])
{
    const struct osr_knowledge *knowledge = writes->knowledge;
    if (has_id(document)) {
        snprintf(id, OSR_ID_BYTES_MAX + 1, "%s", document->id);
    } else if (document->source != NULL) {
        osr_document_id_from_source(id, knowledge->instance, document->source);
    } else {
        osr_id_maker_next(&writes->id_maker, knowledge->options.time_ms(knowledge->options.context),
                          id);
    }
}

static void wait_for_group(struct osr_writes *writes, struct osr_write *write,
                           Osr__Document *const *documents, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Osr__Document *document = documents[i];
        Osr__Document stripped = strip(document);
        make_id(writes, document, write->id);
        stripped.id = write->id;
        bool is_put = write->mode == OSR_WRITE_PUT;
        struct osr_write_item_options options = {
            .write = write,
            .document = &stripped,
            .is_fresh = !has_id(document) && document->source == NULL,
            .passes_if_known = write->mode == OSR_WRITE_IMPORT || (is_put && !has_id(document)),
        };
        osr_write_group_add(writes->group, &options);
    }
    osr_write_group_start(writes->group);
}

static void *take(struct osr_writes *writes, size_t size)
{
    void *memory = osr_arena_take(writes->arena, size);
    assert(memory != NULL); /* the cap has room for the largest write */
    return memory;
}

static void write_at_once(struct osr_writes *writes, struct osr_write *write,
                          Osr__Document *const *documents, size_t count)
{
    osr_arena_reset(writes->arena);
    Osr__Document *stripped = take(writes, count * sizeof(*stripped));
    struct osr_feed_put *puts = take(writes, count * sizeof(*puts));
    for (size_t i = 0; i < count; i++) {
        make_id(writes, documents[i], write->id);
        stripped[i] = strip(documents[i]);
        stripped[i].id = take(writes, sizeof(write->id));
        memcpy(stripped[i].id, write->id, sizeof(write->id));
        puts[i] = (struct osr_feed_put){OSR__OPERATION__PUT, &stripped[i]};
    }
    osr_write_hand_over(writes, write, puts, count, NULL);
}

static bool needs_lookup(enum osr_write_mode mode, Osr__Document *const *documents, size_t count)
{
    bool needs = mode == OSR_WRITE_UPDATE || mode == OSR_WRITE_DELETE;
    for (size_t i = 0; i < count && !needs; i++) {
        needs = has_id(documents[i]) || documents[i]->source != NULL;
    }
    return needs;
}

/* False where the writer is nobody any more. */
static bool take_grant(struct osr_write *write, struct osr_identity *writer)
{
    struct osr_err err;
    if (writer != NULL && osr_identity_grant(writer, &write->grant, &err) != 0) {
        osr_write_note_failure(write, err.code);
        return false;
    }
    osr_grant_hold(write->grant);
    return true;
}

void osr_knowledge_write(struct osr_knowledge *knowledge, struct osr_identity *writer,
                         enum osr_write_mode mode, Osr__Document *const *documents, size_t count,
                         uint32_t acks, uint32_t timeout_ms,
                         void (*done)(void *context, const struct osr_write_result *result),
                         void *context)
{
    struct osr_writes *writes = knowledge->writes;
    assert(count > 0 && count <= OSR_IMPORT_DOCUMENTS_MAX && !knowledge->is_closing);
    struct osr_write *write = osr_alloc(sizeof(*write));
    write->mode = mode;
    write->acks = acks;
    write->timeout_ms = timeout_ms;
    write->done = done;
    write->context = context;
    write->open = 1;
    write->next = writes->first;
    if (write->next != NULL) {
        write->next->previous = write;
    }
    writes->first = write;

    if (!take_grant(write, writer)) {
        osr_write_settle(writes, write);
        return;
    }
    if (!needs_lookup(mode, documents, count)) {
        write_at_once(writes, write, documents, count);
    } else if (osr_write_group_waiting_bytes(writes->group) < WAITING_BYTES_MAX) {
        wait_for_group(writes, write, documents, count);
    } else {
        osr_write_note_failure(write, OSR_BUSY);
    }
    osr_write_settle(writes, write);
}

/* ---- for knowledge.c ---- */

struct osr_writes *osr_writes_create(struct osr_knowledge *knowledge)
{
    struct osr_writes *writes = osr_alloc(sizeof(*writes));
    writes->knowledge = knowledge;
    writes->group = osr_write_group_create(knowledge, writes);
    writes->arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    return writes;
}

void osr_writes_destroy(struct osr_writes *writes)
{
    if (writes == NULL) {
        return;
    }
    osr_write_group_destroy(writes->group);
    while (writes->first != NULL) {
        struct osr_write *write = writes->first;
        while (write->tokens != NULL) {
            struct osr_write_token *token = write->tokens;
            write->tokens = token->next;
            free_token(token);
        }
        osr_write_note_failure(write, OSR_CANCELLED);
        finish(writes, write);
    }
    osr_arena_destroy(writes->arena);
    free(writes);
}

void osr_writes_released(struct osr_writes *writes, const struct osr_batch *batch, uint32_t log_id)
{
    if (writes->own_log != 0 && log_id != writes->own_log) {
        /* The own feed goes on in a new epoch: sequences count anew. */
        writes->own_released = UINT64_MAX;
        finish_released(writes);
    }
    writes->own_log = log_id;
    writes->own_released = osr_batch_last(batch);
    if (writes->unreleased != NULL) {
        finish_released(writes);
    }
    osr_write_group_released(writes->group, batch);
}

bool osr_writes_are_many(const struct osr_writes *writes)
{
    return osr_write_group_waiting_bytes(writes->group) > WAITING_BYTES_MAX / 2;
}
