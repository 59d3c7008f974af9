/* raft_configuration.h -- who belongs to a ledger, and who of them votes.
 *
 * A configuration is the content of one log entry (OSR_RAFT_CONFIGURATION) and holds from the
 * moment that this entry is in a member's log, committed or not (Raft dissertation, 4.1): so it is
 * taken back when the entry is cut off. Two that follow one another differ by one voter at most,
 * so any majority of the one meets any majority of the other. */
#ifndef OSR_CORE_RAFT_CONFIGURATION_H
#define OSR_CORE_RAFT_CONFIGURATION_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    OSR_RAFT_VOTERS_MAX = 7,   /* more would cost every command more than they make safer */
    OSR_RAFT_MEMBERS_MAX = 16, /* voters and learners */
    /* What others need to know of a member (identity, name, addresses), for the caller. */
    OSR_RAFT_CONTEXT_BYTES_MAX = 512,
};

enum osr_raft_standing {
    OSR_RAFT_LEARNER = 1, /* gets all, counts for nothing */
    OSR_RAFT_VOTER = 2,
};

struct osr_raft_member {
    uint64_t id; /* never 0, and never given twice, also not to the same instance */
    enum osr_raft_standing standing;
    bool is_promoted; /* of a learner: becomes a voter by itself once it has caught up */
    uint16_t context_size;
    uint8_t context[OSR_RAFT_CONTEXT_BYTES_MAX];
};

struct osr_raft_configuration {
    struct osr_raft_member members[OSR_RAFT_MEMBERS_MAX]; /* by id, upwards */
    size_t count;                                         /* 0: not known yet */
};

/* NULL where there is none. */
const struct osr_raft_member *osr_raft_configuration_find(
    const struct osr_raft_configuration *configuration, uint64_t id);
bool osr_raft_configuration_is_voter(const struct osr_raft_configuration *configuration,
                                     uint64_t id);
size_t osr_raft_configuration_voters(const struct osr_raft_configuration *configuration);

/* Members by id, upwards, with standings there are; voters enough and not too many. What is decoded
 * is. */
bool osr_raft_configuration_is_valid(const struct osr_raft_configuration *configuration);

/* What is asked of a leader. */
enum osr_raft_change_type {
    OSR_RAFT_ADD = 1, /* a learner; ALREADY_EXISTS, TOO_LARGE where there are too many */
    OSR_RAFT_PROMOTE, /* a learner to a voter; BUSY while it is silent, or lacks much */
    OSR_RAFT_REMOVE,  /* either; INVALID_ARGUMENT for the last voter */
    OSR_RAFT_UPDATE,  /* the context */
};

struct osr_raft_change {
    enum osr_raft_change_type type;
    struct osr_raft_member member; /* of PROMOTE and REMOVE only the id counts */
};

/* Makes the change; on failure the configuration is as it was and err says why. */
int osr_raft_configuration_change(struct osr_raft_configuration *configuration,
                                  const struct osr_raft_change *change, struct osr_err *err);

/* The stored form, all integers big-endian: u8 version (1), u8 count, and for each member u64 id,
 * u8 standing, u8 is_promoted, u16 context size, context. Decoding refuses (MALFORMED) what
 * encoding would not have made: the same configuration always has the same bytes. */
void osr_raft_configuration_encode(const struct osr_raft_configuration *configuration,
                                   struct osr_buffer *buffer);
int osr_raft_configuration_decode(struct osr_slice bytes,
                                  struct osr_raft_configuration *ret_configuration,
                                  struct osr_err *err);

#endif
