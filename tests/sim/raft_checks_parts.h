/* raft_checks_parts.h -- what the checks remember: raft_checks.c looks at logs and roles,
 * raft_checks_commit.c at what is committed, raft_checks_said.c at messages. */
#ifndef OSR_TESTS_RAFT_CHECKS_PARTS_H
#define OSR_TESTS_RAFT_CHECKS_PARTS_H

#include "sim/raft_checks.h"
#include "sim/raft_log.h"

struct raft_committed {
    uint64_t term;
    uint64_t chain;
};

struct raft_term {
    uint64_t leader;    /* 0: nobody was seen to lead in it */
    uint64_t committed; /* by that leader, up to here */
};

/* One entry that was once at an index. Those of an index are linked. */
struct raft_variant {
    uint64_t term;
    uint64_t chain;
    uint32_t next; /* place + 1; 0: no more */
};

struct raft_voters {
    uint64_t ids[OSR_RAFT_MEMBERS_MAX];
    size_t count;
};

/* A member, as far as it has told. */
struct raft_mirror {
    struct raft_log log;       /* what it has put out for STORE */
    struct osr_raft_vote vote; /* likewise */
    uint64_t configured_at;    /* the last configuration in the log; 0: none behind its base */
    uint64_t commit;
    struct raft_voters voters; /* as a leader goes by them, before the step in hand */
    enum osr_raft_role role;
    uint64_t term;
    uint64_t heard_term;                    /* of the leader that it heard last; 0: none yet */
    uint64_t heard_ms;                      /* when that was */
    uint64_t leads_ms;                      /* since when it leads */
    uint64_t quorum_ms[RAFT_MEMBERS_EVER];  /* when it heard others, as a leader */
    const struct osr_raft_message *message; /* that the step is about; NULL: none */
};

struct raft_checks {
    struct raft_mirror mirrors[RAFT_MEMBERS_EVER];
    struct osr_buffer committed; /* of struct raft_committed, from index 1 on */
    struct osr_buffer terms;     /* of struct raft_term, from term 0 on */
    struct osr_buffer heads;     /* of uint32_t: place + 1 of the first variant of an index */
    struct osr_buffer variants;  /* of struct raft_variant */
};

struct raft_term *raft_checks_term(struct raft_checks *checks, uint64_t term);
/* Who votes, as its core has it. */
void raft_checks_read_voters(const struct raft_member *member, struct raft_voters *ret_voters);
/* It leads that term, and this index was committed before. */
void raft_checks_has_committed(struct raft_checks *checks, const struct raft_member *leader,
                               uint64_t term, uint64_t index);
/* The commit index may have moved. */
void raft_checks_commits(struct raft_checks *checks, const struct raft_member *member,
                         const struct osr_raft_info *info, bool led_before);
/* It leads, and may have heard how far another is. */
void raft_checks_counted(const struct raft_checks *checks, const struct raft_member *leader);
const struct raft_committed *raft_checks_commit(const struct raft_checks *checks, uint64_t index);

#endif
