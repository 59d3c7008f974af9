#include "node/write_group.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "node/lookup.h"

enum {
    /* Looked at for one group, and taken into it: fits into what the core takes at a time. */
    GROUP_ITEMS_MAX = OSR_IMPORT_DOCUMENTS_MAX,
    GROUP_BYTES_MAX = OSR_PENDING_BYTES_MAX / 2,
    ARENA_KEEP = 1 << 20,
    /* Of a group's entries, decoded: OSR_SUPERSEDES_MAX versions for each. */
    ARENA_CAP = 128 << 20,
};

struct osr_write_item {
    struct osr_write_item *next;
    struct osr_write *write;
    bool is_fresh;
    bool passes_if_known;
    struct osr_buffer stored; /* stored form, without a time */
    /* Looked up. */
    struct osr_lookup lookup;
    struct osr_err err;
    bool is_known; /* any version, also a deleted one */
    bool is_put;   /* the winner is a PUT */
    bool is_visible;
    size_t head_count;
    struct osr_version *heads;
    char *collection; /* of the winner, where it matters; NULL: it does not */
};

enum phase { PHASE_NONE, PHASE_WAITING, PHASE_LOOKING, PHASE_WRITING };

struct osr_write_group {
    struct osr_reading_job job; /* first */
    struct osr_projection_wait wait;
    struct osr_knowledge *knowledge;
    struct osr_writes *writes;
    struct osr_arena *arena;

    /* The line. */
    struct osr_write_item *waiting;
    struct osr_write_item **waiting_end;
    size_t waiting_bytes;

    /* The group under way. */
    enum phase phase;
    struct osr_write_item *items;
    uint64_t now_ms;
    uint64_t asked_at;
    struct osr_map *ids; /* of items not yet decided, or written and not yet released */
    bool is_starting;    /* its failure leads back to osr_write_group_start */
};

static void destroy_item(struct osr_write_item *item)
{
    osr_buffer_done(&item->stored);
    osr_lookup_done(&item->lookup);
    free(item->heads);
    free(item->collection);
    free(item);
}

void osr_write_items_destroy(struct osr_write_item *items)
{
    while (items != NULL) {
        struct osr_write_item *next = items->next;
        destroy_item(items);
        items = next;
    }
}

static struct osr_slice id_of(const struct osr_write_item *item)
{
    return osr_stored_id(osr_buffer_slice(&item->stored));
}

/* ---- what becomes of the items ---- */

static void end_if_released(struct osr_write_group *group)
{
    if (group->phase == PHASE_WRITING && osr_map_count(group->ids) == 0) {
        group->phase = PHASE_NONE;
        osr_write_group_start(group);
    }
}

void osr_write_group_leave(struct osr_write_group *group, const struct osr_write_item *items)
{
    for (const struct osr_write_item *item = items; item != NULL; item = item->next) {
        osr_map_remove(group->ids, id_of(item));
    }
    end_if_released(group);
}

void osr_write_group_released(struct osr_write_group *group, const struct osr_batch *batch)
{
    for (size_t i = 0; i < batch->count && osr_map_count(group->ids) > 0; i++) {
        osr_map_remove(group->ids, osr_stored_id(osr_record_stored(osr_batch_record(batch, i))));
    }
    end_if_released(group);
}

/* It is not written; code OK: because it exists. */
static void pass_over(struct osr_write_group *group, struct osr_write_item *item,
                      enum osr_code code)
{
    struct osr_write *write = item->write;
    osr_map_remove(group->ids, id_of(item));
    destroy_item(item);
    if (code == OSR_OK) {
        write->result.existed++;
    } else {
        osr_write_note_failure(write, code);
    }
    osr_write_settle(group->writes, write);
}

/* Whether the writer may replace what is there. Who may not even read it is not told of it. */
static enum osr_code check_writer(const struct osr_write_item *item)
{
    const struct osr_write *write = item->write;
    if (write->grant == NULL || item->collection == NULL) {
        return OSR_OK;
    }
    struct osr_part part = osr_part(OSR_PART_COLLECTION, item->collection);
    if (osr_grant_allows(write->grant, OSR_ACTION_WRITE, part)) {
        return OSR_OK;
    }
    bool is_by_id = write->mode == OSR_WRITE_UPDATE || write->mode == OSR_WRITE_DELETE;
    return is_by_id && !osr_grant_allows(write->grant, OSR_ACTION_READ, part)
               ? OSR_NOT_FOUND
               : OSR_PERMISSION_DENIED;
}

/* True if the item is to be written; else it is gone. */
static bool decide(struct osr_write_group *group, struct osr_write_item *item)
{
    enum osr_write_mode mode = item->write->mode;
    bool is_there = mode == OSR_WRITE_DELETE ? item->is_put : item->is_visible;
    if (item->err.code != OSR_OK) {
        pass_over(group, item, item->err.code);
        return false;
    }
    if (item->is_known && item->passes_if_known) {
        pass_over(group, item, OSR_OK);
        return false;
    }
    if (!is_there && (mode == OSR_WRITE_UPDATE || mode == OSR_WRITE_DELETE)) {
        pass_over(group, item, OSR_NOT_FOUND);
        return false;
    }
    enum osr_code code = check_writer(item);
    if (code != OSR_OK) {
        pass_over(group, item, code);
        return false;
    }
    return true;
}

static void *take(struct osr_write_group *group, size_t size)
{
    void *memory = osr_arena_take(group->arena, size);
    assert(memory != NULL); /* the cap has room for the largest group */
    return memory;
}

/* The document as it is to be written: it supersedes all heads. Lives as long as the item and
 * the arena's content. */
static const Osr__Document *complete(struct osr_write_group *group,
                                     const struct osr_write_item *item)
{
    Osr__Entry *entry;
    struct osr_err err;
    int code = osr_entry_decode(osr_buffer_slice(&item->stored), 0, group->arena, &entry, &err);
    assert(code == 0); /* it was encoded here */
    (void)code;
    Osr__Document *document = entry->document;
    if (item->collection != NULL && item->write->mode == OSR_WRITE_DELETE) {
        document->collection = item->collection;
    }
    if (item->head_count > 0) {
        Osr__Version *versions = take(group, item->head_count * sizeof(*versions));
        document->supersedes = take(group, item->head_count * sizeof(document->supersedes[0]));
        for (size_t i = 0; i < item->head_count; i++) {
            osr__version__init(&versions[i]);
            versions[i].time_ms = item->heads[i].time.ms;
            versions[i].time_logical = item->heads[i].time.logical;
            versions[i].origin = item->heads[i].origin;
            document->supersedes[i] = &versions[i];
        }
        document->n_supersedes = item->head_count;
    }
    return document;
}

/* Hands items of one write, which are chained, to the core. */
static void write_items(struct osr_write_group *group, struct osr_write_item *items, size_t count)
{
    struct osr_write *write = items->write;
    osr_arena_reset(group->arena);
    struct osr_feed_put *puts = take(group, count * sizeof(*puts));
    size_t i = 0;
    for (const struct osr_write_item *item = items; item != NULL; item = item->next) {
        puts[i++] = (struct osr_feed_put){osr_write_operation(write), complete(group, item)};
    }
    write->open -= count; /* the core's answer stands for them now */
    osr_write_hand_over(group->writes, write, puts, count, items);
}

/* Takes the first item and those of the same write behind it off the list, decided. */
static struct osr_write_item *take_run(struct osr_write_group *group, struct osr_write_item **list,
                                       size_t *ret_count)
{
    const struct osr_write *write = (*list)->write;
    struct osr_write_item *run = NULL;
    struct osr_write_item **end = &run;
    *ret_count = 0;
    while (*list != NULL && (*list)->write == write) {
        struct osr_write_item *item = *list;
        *list = item->next;
        item->next = NULL;
        if (decide(group, item)) {
            *end = item;
            end = &item->next;
            ++*ret_count;
        }
    }
    return run;
}

static void write_all(struct osr_write_group *group)
{
    struct osr_write_item *list = group->items;
    group->items = NULL;
    while (list != NULL) {
        struct osr_write *write = list->write;
        size_t count;
        write->open++; /* it must not end between its items */
        struct osr_write_item *run = take_run(group, &list, &count);
        if (run != NULL) {
            write_items(group, run, count);
        }
        osr_write_settle(group->writes, write);
    }
    group->phase = PHASE_WRITING;
    end_if_released(group);
}

/* ---- looking up ---- */

/* What goes from a collection is told to those who watch it: the deletion carries its name. And
 * what is replaced may be in a collection that its writer may not write. */
static bool needs_collection(const struct osr_write_item *item)
{
    const struct osr_write *write = item->write;
    return item->is_put && (write->mode == OSR_WRITE_DELETE ||
                            (write->grant != NULL && !osr_grant_writes_all(write->grant)));
}

static void find_collection(struct osr_write_item *item, const struct osr_store_version *winner,
                            struct osr_journal *journal)
{
    struct osr_arena *arena = osr_arena_create(0, ARENA_CAP);
    struct osr_position position = {winner->log_id, winner->index};
    Osr__Entry *entry;
    if (osr_lookup_entry(journal, position, arena, &entry, &item->err) == 0) {
        item->collection = osr_strdup(entry->document->collection);
    }
    osr_arena_destroy(arena);
}

static void note_versions(struct osr_write_item *item, const struct osr_version_set *set,
                          const struct osr_store_version *winner, uint64_t now_ms)
{
    struct osr_version heads[OSR_SUPERSEDES_MAX];
    item->is_known = winner != NULL;
    item->is_put = winner != NULL && winner->operation == OSR__OPERATION__PUT;
    item->is_visible = winner != NULL && osr_store_version_is_visible(winner, now_ms);
    item->head_count = osr_version_set_heads(set, heads);
    if (item->head_count > 0) {
        item->heads = osr_alloc(item->head_count * sizeof(heads[0]));
        memcpy(item->heads, heads, item->head_count * sizeof(heads[0]));
    }
}

static void look_up(struct osr_write_group *group, struct osr_write_item *item,
                    struct osr_reading *reading)
{
    struct osr_journal *journal = group->knowledge->options.journal;
    struct osr_version_set set = {0};
    if (osr_lookup_versions(&item->lookup, id_of(item), reading, journal, &set, &item->err) == 0) {
        const struct osr_store_version *winner = osr_version_set_winner(&set);
        note_versions(item, &set, winner, group->now_ms);
        if (needs_collection(item)) {
            find_collection(item, winner, journal);
        }
    }
    osr_version_set_done(&set);
}

static void work(struct osr_reading_job *job, struct osr_reading *reading)
{
    struct osr_write_group *group = (struct osr_write_group *)job;
    for (struct osr_write_item *item = group->items; item != NULL; item = item->next) {
        if (!item->is_fresh) {
            look_up(group, item, reading);
        }
    }
}

static void looked_up(struct osr_reading_job *job)
{
    struct osr_write_group *group = (struct osr_write_group *)job;
    if (!group->knowledge->is_closing) {
        write_all(group);
    }
}

static void await(struct osr_write_group *group, uint64_t ordinal)
{
    group->wait.ordinal = ordinal;
    group->phase = PHASE_WAITING;
    osr_projection_await(group->knowledge->projection, &group->wait);
}

static void fail_all(struct osr_write_group *group, enum osr_code code)
{
    for (struct osr_write_item *item = group->items; item != NULL; item = item->next) {
        item->err.code = code;
    }
    write_all(group);
}

/* Writes down what the projection lacks; false where it must catch up first. */
static bool note_recent(struct osr_write_group *group)
{
    const struct osr_knowledge *knowledge = group->knowledge;
    uint64_t applied = osr_projection_applied(knowledge->projection);
    if (applied >= group->asked_at) {
        return true;
    }
    bool is_noted = applied >= knowledge->recent_from;
    for (struct osr_write_item *item = group->items; item != NULL && is_noted; item = item->next) {
        osr_lookup_done(&item->lookup);
        is_noted = item->is_fresh || osr_lookup_note(&item->lookup, knowledge->recent, id_of(item));
    }
    return is_noted;
}

static void on_ready(struct osr_projection_wait *wait, const struct osr_err *err)
{
    struct osr_write_group *group =
        (struct osr_write_group *)((char *)wait - offsetof(struct osr_write_group, wait));
    if (group->knowledge->is_closing) {
        return;
    }
    if (err != NULL) {
        fail_all(group, err->code);
    } else if (!note_recent(group)) {
        await(group, group->asked_at);
    } else {
        group->phase = PHASE_LOOKING;
        osr_reading_submit(group->knowledge->lookups, &group->job);
    }
}

/* ---- the line ---- */

/* What an item costs while it waits. */
static size_t cost_of(const struct osr_write_item *item)
{
    return sizeof(*item) + item->stored.size;
}

/* Moves items from the line into the group; those whose id is taken stay, in their order. */
static void gather(struct osr_write_group *group)
{
    struct osr_write_item **end = &group->items;
    struct osr_write_item **link = &group->waiting;
    size_t bytes = 0;
    for (size_t seen = 0; *link != NULL && seen < GROUP_ITEMS_MAX && bytes < GROUP_BYTES_MAX;
         seen++) {
        struct osr_write_item *item = *link;
        if (osr_map_get(group->ids, id_of(item)) != NULL) {
            link = &item->next;
            continue;
        }
        *link = item->next;
        item->next = NULL;
        *end = item;
        end = &item->next;
        osr_map_put(group->ids, id_of(item), group);
        bytes += item->stored.size;
        group->waiting_bytes -= cost_of(item);
    }
    if (*link == NULL) {
        group->waiting_end = link;
    }
}

static void start_one(struct osr_write_group *group)
{
    const struct osr_knowledge *knowledge = group->knowledge;
    gather(group);
    group->now_ms = knowledge->options.time_ms(knowledge->options.context);
    group->asked_at = osr_knowledge_now(knowledge);
    bool is_noted = knowledge->recent_from < group->asked_at;
    await(group, is_noted ? knowledge->recent_from : group->asked_at);
}

/* More than one where they fail at once. */
void osr_write_group_start(struct osr_write_group *group)
{
    if (group->is_starting) {
        return;
    }
    group->is_starting = true;
    while (group->phase == PHASE_NONE && group->waiting != NULL && !group->knowledge->is_closing) {
        start_one(group);
    }
    group->is_starting = false;
}

void osr_write_group_add(struct osr_write_group *group,
                         const struct osr_write_item_options *options)
{
    struct osr_write_item *item = osr_alloc(sizeof(*item));
    item->write = options->write;
    item->is_fresh = options->is_fresh;
    item->passes_if_known = options->passes_if_known;
    osr_entry_encode(&item->stored, (struct osr_time){0}, osr_write_operation(options->write),
                     options->document);
    *group->waiting_end = item;
    group->waiting_end = &item->next;
    group->waiting_bytes += cost_of(item);
    options->write->open++;
}

size_t osr_write_group_waiting_bytes(const struct osr_write_group *group)
{
    return group->waiting_bytes;
}

struct osr_write_group *osr_write_group_create(struct osr_knowledge *knowledge,
                                               struct osr_writes *writes)
{
    struct osr_write_group *group = osr_alloc(sizeof(*group));
    group->job.work = work;
    group->job.done = looked_up;
    group->wait.ready = on_ready;
    group->knowledge = knowledge;
    group->writes = writes;
    group->arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    group->waiting_end = &group->waiting;
    group->ids = osr_map_create(knowledge->hash_key[0]);
    return group;
}

void osr_write_group_destroy(struct osr_write_group *group)
{
    if (group != NULL) {
        osr_write_items_destroy(group->waiting);
        osr_write_items_destroy(group->items);
        osr_map_destroy(group->ids);
        osr_arena_destroy(group->arena);
        free(group);
    }
}
