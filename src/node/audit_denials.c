#include "node/audit_denials.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"

/* Denials that are summed up together: equal ones, those of an address beyond its share, or those
 * of all addresses beyond the limit. */
struct sum {
    struct osr_audit_item *first; /* stands for all; NULL: none was counted yet */
    uint64_t count;               /* since the last record */
    const char *of;               /* "like this", ... */
    struct sum *address;          /* of equal denials: their address's sum */
    uint32_t told_apart;          /* of an address: sums of equal ones */
};

struct osr_denials {
    struct osr_map *sums; /* by address, and by all texts but the reason */
    struct sum crowd;
};

struct osr_denials *osr_denials_create(uint64_t seed)
{
    struct osr_denials *denials = osr_alloc(sizeof(*denials));
    denials->sums = osr_map_create(seed);
    denials->crowd.of = "denials from other addresses";
    return denials;
}

static void destroy_sum(struct sum *sum)
{
    free(sum->first);
    free(sum);
}

void osr_denials_destroy(struct osr_denials *denials)
{
    if (denials == NULL) {
        return;
    }
    size_t cursor = 0;
    struct osr_slice key;
    void *sum;
    while (osr_map_next(denials->sums, &cursor, &key, &sum)) {
        destroy_sum(sum);
    }
    osr_map_destroy(denials->sums);
    free(denials->crowd.first);
    free(denials);
}

/* ---- counting ---- */

/* All that makes records equal, as far as the log shows it. It has NULs in it, which an address's
 * key has not. */
static struct osr_buffer key_of(const struct osr_audit_record *record)
{
    const char *const texts[] = {record->from, record->who, record->action, record->part,
                                 record->what};
    struct osr_buffer key = {0};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        osr_buffer_add(&key, texts[i], strnlen(texts[i], OSR_AUDIT_TEXT_BYTES_MAX));
        osr_buffer_add_u8(&key, '\0');
    }
    osr_buffer_add_u8(&key, record->allowed);
    return key;
}

static struct sum *find_equal(const struct osr_denials *denials,
                              const struct osr_audit_record *record)
{
    struct osr_buffer key = key_of(record);
    struct sum *sum = osr_map_get(denials->sums, osr_buffer_slice(&key));
    osr_buffer_done(&key);
    return sum;
}

static struct sum *find_address(const struct osr_denials *denials,
                                const struct osr_audit_record *record)
{
    return osr_map_get(denials->sums, osr_slice_text(record->from));
}

static void count(struct sum *sum, const struct osr_audit_record *record)
{
    if (sum->first == NULL) {
        sum->first = osr_audit_item_create(record);
    }
    sum->count++;
}

static bool is_full(const struct osr_denials *denials)
{
    return osr_map_count(denials->sums) + 2 > OSR_DENIALS_MAX;
}

/* Of denials alone: among what was refused nobody shall be able to hide what was let in. */
static struct sum *find_shared(struct osr_denials *denials, const struct osr_audit_record *record)
{
    struct sum *address = find_address(denials, record);
    if (address != NULL && address->told_apart >= OSR_DENIALS_OF_ADDRESS_MAX) {
        return address;
    }
    return is_full(denials) ? &denials->crowd : NULL;
}

bool osr_denials_count(struct osr_denials *denials, const struct osr_audit_record *record)
{
    struct sum *sum = find_equal(denials, record);
    if (sum == NULL && !record->allowed) {
        sum = find_shared(denials, record);
    }
    if (sum != NULL) {
        count(sum, record);
    }
    return sum != NULL;
}

static struct sum *add_sum(struct osr_denials *denials, struct osr_slice key, const char *of)
{
    struct sum *sum = osr_alloc(sizeof(*sum));
    sum->of = of;
    osr_map_put(denials->sums, key, sum);
    return sum;
}

static struct sum *add_equal(struct osr_denials *denials, const struct osr_audit_record *record)
{
    struct osr_buffer key = key_of(record);
    struct sum *equal = add_sum(denials, osr_buffer_slice(&key), "like this");
    osr_buffer_done(&key);
    equal->first = osr_audit_item_create(record);
    return equal;
}

static void add_denial(struct osr_denials *denials, const struct osr_audit_record *record)
{
    struct sum *address = find_address(denials, record);
    if (address == NULL) {
        address = add_sum(denials, osr_slice_text(record->from), "denials from this address");
    }
    add_equal(denials, record)->address = address;
    address->told_apart++;
}

void osr_denials_add(struct osr_denials *denials, const struct osr_audit_record *record)
{
    if (!record->allowed) {
        add_denial(denials, record);
    } else if (!is_full(denials)) { /* else the next ones are noted one by one */
        add_equal(denials, record);
    }
}

bool osr_denials_is_empty(const struct osr_denials *denials)
{
    return osr_map_count(denials->sums) == 0 && denials->crowd.count == 0;
}

/* ---- summing up ---- */

static void note_sum(struct sum *sum, void (*note)(void *, const struct osr_audit_record *),
                     void *context)
{
    char why[OSR_AUDIT_TEXT_BYTES_MAX];
    struct osr_audit_record record = sum->first->record;
    snprintf(why, sizeof(why), "%" PRIu64 " more %s", sum->count, sum->of);
    record.why = why;
    note(context, &record);
    sum->count = 0;
    if (sum->address == NULL) { /* the next one stands for other denials than this */
        free(sum->first);
        sum->first = NULL;
    }
}

/* An address goes after what was told apart of it. */
static void forget_sum(struct osr_denials *denials, struct osr_slice key, struct sum *sum)
{
    if (sum->told_apart > 0) {
        return;
    }
    if (sum->address != NULL) {
        sum->address->told_apart--;
    }
    osr_map_remove(denials->sums, key);
    destroy_sum(sum);
}

void osr_denials_sum_up(struct osr_denials *denials, size_t max,
                        void (*note)(void *context, const struct osr_audit_record *record),
                        void *context)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *at;
    while (osr_map_next(denials->sums, &cursor, &key, &at)) {
        struct sum *sum = at;
        if (sum->count == 0) {
            forget_sum(denials, key, sum);
        } else if (max > 0) {
            note_sum(sum, note, context);
            max--;
        }
    }
    if (denials->crowd.count > 0 && max > 0) {
        note_sum(&denials->crowd, note, context);
    }
}
