#include "adapter/wal_plan.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/wal_segment.h"

void osr_wal_plan_init(struct osr_wal_plan *plan)
{
    *plan = (struct osr_wal_plan){.size = OSR_SEGMENT_FIRST_OFFSET};
}

void osr_wal_plan_done(struct osr_wal_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->parts[i].holes);
    }
    free(plan->parts);
}

static struct osr_wal_part *last_part(struct osr_wal_plan *plan)
{
    return plan->count > 0 ? &plan->parts[plan->count - 1] : NULL;
}

static struct osr_wal_part *add_part(struct osr_wal_plan *plan)
{
    struct osr_wal_part *part;

    plan->parts = osr_realloc(plan->parts, (plan->count + 1) * sizeof(*plan->parts));
    part = &plan->parts[plan->count++];
    *part = (struct osr_wal_part){0};
    return part;
}

void osr_wal_plan_copy(struct osr_wal_plan *plan, size_t source, size_t position,
                       const struct osr_wal_record *record)
{
    struct osr_wal_part *part = last_part(plan);

    if (part == NULL || part->ordinals > 0 || part->source != source) {
        part = add_part(plan);
        part->source = source;
        part->position = position;
    }
    part->records++;
    plan->size += osr_record_span(record->payload.size);
}

static struct osr_wal_hole *hole_of(const struct osr_wal_part *part, uint32_t log_id)
{
    for (size_t i = 0; i < part->hole_count; i++) {
        if (part->holes[i].log_id == log_id) {
            return &part->holes[i];
        }
    }
    return NULL;
}

static bool has_room(const struct osr_wal_part *part, uint64_t ordinals,
                     const struct osr_wal_hole *holes, size_t count)
{
    size_t more = 0;

    for (size_t i = 0; i < count; i++) {
        more += hole_of(part, holes[i].log_id) == NULL ? 1 : 0;
    }
    return part->hole_count + more <= OSR_WAL_HOLES_MAX &&
           part->ordinals + ordinals <= OSR_WAL_VOID_ORDINALS_MAX;
}

static void widen_hole(struct osr_wal_plan *plan, struct osr_wal_part *part,
                       const struct osr_wal_hole *more)
{
    struct osr_wal_hole *hole = hole_of(part, more->log_id);
    uint64_t before = osr_record_span(part->hole_count * OSR_WAL_HOLE_BYTES);

    if (hole != NULL) {
        assert(hole->first + hole->count == more->first);
        hole->count += more->count;
        return;
    }
    part->holes = osr_realloc(part->holes, (part->hole_count + 1) * sizeof(*part->holes));
    part->holes[part->hole_count++] = *more;
    plan->size += osr_record_span(part->hole_count * OSR_WAL_HOLE_BYTES) - before;
}

/* So many ordinals are void, and these entries among them. The VOID that goes on stands for them,
 * if it has room; else another. */
static void add_void(struct osr_wal_plan *plan, uint64_t ordinals, const struct osr_wal_hole *holes,
                     size_t count)
{
    struct osr_wal_part *part = last_part(plan);

    if (part == NULL || part->ordinals == 0 || !has_room(part, ordinals, holes, count)) {
        part = add_part(plan);
        plan->size += osr_record_span(0);
    }
    part->ordinals += ordinals;
    for (size_t i = 0; i < count; i++) {
        widen_hole(plan, part, &holes[i]);
    }
}

void osr_wal_plan_void(struct osr_wal_plan *plan, const struct osr_wal_record *record)
{
    struct osr_wal_hole hole = {record->log_id, 1, record->index};

    add_void(plan, 1, &hole, record->type == OSR_WAL_ENTRY ? 1 : 0);
}

void osr_wal_plan_old_void(struct osr_wal_plan *plan, const struct osr_wal_record *record)
{
    struct osr_wal_hole holes[OSR_WAL_HOLES_MAX];
    size_t count = osr_wal_void_hole_count(record);

    for (size_t i = 0; i < count; i++) {
        holes[i] = osr_wal_void_hole(record, i);
    }
    add_void(plan, record->index, holes, count);
}
