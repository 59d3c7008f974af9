/* ledger_machines.h -- the state machines of a ledger, each with its part of the values on disk.
 * The loop's only. */
#ifndef OSR_NODE_LEDGER_MACHINES_H
#define OSR_NODE_LEDGER_MACHINES_H

#include "adapter/values.h"
#include "core/agreement.h"
#include "node/ledger_state.h"

struct osr_ledger_machines;

/* Machines, of which none is there twice, and the file outlive it. */
struct osr_ledger_machines *osr_ledger_machines_create(const struct osr_machine *machines,
                                                       size_t count, struct osr_values_file *file);
void osr_ledger_machines_destroy(struct osr_ledger_machines *machines); /* NULL is a no-op */

/* NULL where there is no such machine. */
struct osr_values *osr_ledger_machines_values(struct osr_ledger_machines *machines,
                                              enum osr_machine_id id);
/* The values are others now. */
void osr_ledger_machines_restored(struct osr_ledger_machines *machines);
/* UNSUPPORTED_VERSION: no machine here understands it. Else *ret_code and `reply`, which is
 * appended to, are what the machine says. */
int osr_ledger_machines_apply(struct osr_ledger_machines *machines, uint64_t index,
                              const struct osr_ledger_command *command, struct osr_buffer *reply,
                              enum osr_code *ret_code, struct osr_err *err);

#endif
