/* agreement.h -- the port between state machines and the engine that puts their commands into one
 * order for all members: propose, read, apply, snapshot.
 *
 * A state machine is deterministic: what it makes of a command depends on its values and on the
 * command alone. Its state is nothing but ordered values that the engine keeps, so the engine can
 * store them, make snapshots of them and give these to other members, whatever the machine is.
 * Several machines stand beside each other on one ledger, each with values of its own.
 *
 * Happy path of a command: propose(machine, command) at any member -> committed -> apply, once
 * at every member, in the same order -> where it was proposed `done` gets what apply replied.
 * Of a read: read -> `done` once this member has applied all that was committed when it was asked
 * for -> the caller looks at the machine's values, before it returns.
 *
 * What another engine must bring to stand here: one order of commands, each applied once and all
 * together with its place in that order (osr_values of all machines move forward in one piece),
 * reads that see what was committed before them, callers that may go away (`forget`), and word that
 * it has ended (`is_broken`). docs/ARCHITECTURE.md says how an etcd cluster would.
 *
 * No I/O, no clock, one thread: the loop's. */
#ifndef OSR_CORE_AGREEMENT_H
#define OSR_CORE_AGREEMENT_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    OSR_VALUE_KEY_BYTES_MAX = 480,      /* the store behind takes no longer ones */
    OSR_VALUE_BYTES_MAX = 1028 << 10,   /* of one value: it travels in one command */
    OSR_COMMAND_BYTES_MAX = 1280 << 10, /* of one command; TOO_LARGE above */
    OSR_MACHINES_MAX = 16,
};

/* ---- values: the state of one machine, in the order of their keys' bytes ---- */

/* Implemented by adapter/values.h and, in memory, by tests/lib/memory_values.h. Who implements it
 * puts it first in a struct of its own. None fails: an engine whose values cannot be read or
 * written any more ends the process. */
struct osr_values {
    /* Appends the value; false, and nothing appended, where there is none. */
    bool (*get)(struct osr_values *values, struct osr_slice key, struct osr_buffer *value);
    void (*put)(struct osr_values *values, struct osr_slice key, struct osr_slice value);
    void (*remove)(struct osr_values *values, struct osr_slice key); /* no matter if it was there */
    /* Appends the first key that is not below `from`, and its value; false where there is none. To
     * walk, ask again with the key found and a byte 0 behind it. */
    bool (*next)(struct osr_values *values, struct osr_slice from, struct osr_buffer *key,
                 struct osr_buffer *value);
};

/* ---- machines ---- */

enum osr_machine_id {
    OSR_MACHINE_CLUSTER = 1, /* what Osiris itself agrees on: core/cluster_settings.h */
    OSR_MACHINE_KV = 2,      /* core/kv.h */
};

struct osr_command {
    uint64_t index;  /* its place in the order; rises from command to command */
    uint8_t version; /* 1 .. the machine's version_max */
    struct osr_slice bytes;
};

struct osr_machine {
    enum osr_machine_id id;
    const char *name;    /* for messages; static */
    uint8_t version_max; /* of commands that apply understands */
    /* Changes the values, and appends to `reply` what the proposer is told. A command that is not
     * allowed, or makes no sense, changes nothing and returns why. */
    enum osr_code (*apply)(void *context, struct osr_values *values,
                           const struct osr_command *command, struct osr_buffer *reply);
    /* The values are others now, as a whole: at a start, and where a snapshot was taken in. May be
     * NULL. */
    void (*restored)(void *context, struct osr_values *values);
    void *context;
};

/* ---- the engine, as users of machines see it ---- */

struct osr_agreed {
    /* OK or what apply returned: it is done. UNAVAILABLE, BUSY, TOO_LARGE: it was not done, and
     * will not be. TIMEOUT: nobody knows whether it was or will be done; of a read that its time
     * was over. */
    enum osr_code code;
    const struct osr_err *err; /* where it was not applied; NULL where it was */
    uint64_t index;            /* of the command; of a read up to where the values stand */
    struct osr_slice reply;    /* lives until the return */
};

/* Never called from within propose or read. `err` and all else live until the return. */
typedef void osr_agreed_done(void *context, const struct osr_agreed *agreed);

struct osr_agreement {
    /* Command is copied. It is tried until it is done or timeout_ms are over. Returns a number for
     * `forget`; 0: it was refused: `done` comes all the same, after the return, and cannot be
     * forgotten. */
    uint64_t (*propose)(struct osr_agreement *agreement, enum osr_machine_id machine,
                        uint8_t version, struct osr_slice command, uint32_t timeout_ms,
                        osr_agreed_done *done, void *context);
    /* Linearizable; is_local: what this member has applied, at once in its turn. Returns as
     * `propose` does. */
    uint64_t (*read)(struct osr_agreement *agreement, bool is_local, uint32_t timeout_ms,
                     osr_agreed_done *done, void *context);
    /* Nobody waits for the answer any more, `done` is not called: what was proposed may be done all
     * the same. Passes over a number that was answered, and 0. */
    void (*forget)(struct osr_agreement *agreement, uint64_t number);
    /* Of a machine, as applied so far: in `done` of a read, or where stale is good enough. */
    struct osr_values *(*values)(struct osr_agreement *agreement, enum osr_machine_id machine);
    /* The process ends. What is not found among values now, or just was not, may be there. */
    bool (*is_broken)(struct osr_agreement *agreement);
    /* The highest version of its commands that all members understand. */
    uint8_t (*version)(struct osr_agreement *agreement, enum osr_machine_id machine);
};

#endif
