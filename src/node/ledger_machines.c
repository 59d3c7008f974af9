#include "node/ledger_machines.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* A machine, and its values as it sees them. */
struct bound {
    struct osr_values values; /* first */
    struct osr_values_file *file;
    struct osr_machine machine;
};

struct osr_ledger_machines {
    struct bound items[OSR_MACHINES_MAX];
    size_t count;
};

/* ---- values ---- */

static bool get(struct osr_values *values, struct osr_slice key, struct osr_buffer *value)
{
    struct bound *bound = (struct bound *)values;
    return osr_values_file_get(bound->file, (uint16_t)bound->machine.id, key, value);
}

static void put(struct osr_values *values, struct osr_slice key, struct osr_slice value)
{
    struct bound *bound = (struct bound *)values;
    osr_values_file_put(bound->file, (uint16_t)bound->machine.id, key, value);
}

static void remove_value(struct osr_values *values, struct osr_slice key)
{
    struct bound *bound = (struct bound *)values;
    osr_values_file_remove(bound->file, (uint16_t)bound->machine.id, key);
}

static bool next(struct osr_values *values, struct osr_slice from, struct osr_buffer *key,
                 struct osr_buffer *value)
{
    struct bound *bound = (struct bound *)values;
    return osr_values_file_next(bound->file, (uint16_t)bound->machine.id, from, key, value);
}

/* ---- machines ---- */

static struct bound *find(struct osr_ledger_machines *machines, enum osr_machine_id id)
{
    for (size_t i = 0; i < machines->count; i++) {
        if (machines->items[i].machine.id == id) {
            return &machines->items[i];
        }
    }
    return NULL;
}

struct osr_ledger_machines *osr_ledger_machines_create(const struct osr_machine *machines,
                                                       size_t count, struct osr_values_file *file)
{
    struct osr_ledger_machines *created = osr_alloc(sizeof(*created));

    assert(count <= OSR_MACHINES_MAX);
    for (size_t i = 0; i < count; i++) {
        assert(find(created, machines[i].id) == NULL);
        created->items[created->count++] = (struct bound){
            .values = {.get = get, .put = put, .remove = remove_value, .next = next},
            .file = file,
            .machine = machines[i],
        };
    }
    return created;
}

void osr_ledger_machines_destroy(struct osr_ledger_machines *machines)
{
    free(machines);
}

struct osr_values *osr_ledger_machines_values(struct osr_ledger_machines *machines,
                                              enum osr_machine_id id)
{
    struct bound *bound = find(machines, id);
    return bound != NULL ? &bound->values : NULL;
}

void osr_ledger_machines_restored(struct osr_ledger_machines *machines)
{
    for (size_t i = 0; i < machines->count; i++) {
        struct bound *bound = &machines->items[i];
        if (bound->machine.restored != NULL) {
            bound->machine.restored(bound->machine.context, &bound->values);
        }
    }
}

int osr_ledger_machines_apply(struct osr_ledger_machines *machines, uint64_t index,
                              const struct osr_ledger_command *command, struct osr_buffer *reply,
                              enum osr_code *ret_code, struct osr_err *err)
{
    struct bound *bound = find(machines, command->machine);

    if (bound == NULL) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "the ledger's entry %" PRIu64
                                " is for state machine %d, which this version of Osiris lacks",
                                index, (int)command->machine);
    }
    if (command->version > bound->machine.version_max) {
        return (int)osr_err_set(
            err, OSR_UNSUPPORTED_VERSION,
            "the ledger's entry %" PRIu64 " is a command of version %u for %s, known: %u", index,
            command->version, bound->machine.name, bound->machine.version_max);
    }
    *ret_code = bound->machine.apply(
        bound->machine.context, &bound->values,
        &(struct osr_command){.index = index, .version = command->version, .bytes = command->bytes},
        reply);
    return 0;
}
