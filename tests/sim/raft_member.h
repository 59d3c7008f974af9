/* raft_member.h -- one member of a simulated ledger: its core, its state machine, its clock. */
#ifndef OSR_TESTS_RAFT_MEMBER_H
#define OSR_TESTS_RAFT_MEMBER_H

#include "sim/raft_disk.h"
#include "sim/raft_state.h"
#include "sim/raft_world.h"

struct raft_member {
    struct raft_world *world;
    uint32_t place; /* in raft_world.members */
    uint64_t id;    /* place + 1 */
    bool is_founder;
    struct osr_raft *core; /* NULL: down */
    uint32_t life;
    bool is_rotten;    /* its disk has lost what it acknowledged: it must not start again */
    bool is_retired;   /* switched off for good */
    bool has_belonged; /* some committed configuration names it */
    bool is_removed;   /* and a later one does not */
    uint64_t paused_until_us;
    /* The clock: what it shows, and thousandths of its speed. */
    uint64_t clock_offset_ms;
    uint64_t clock_speed;
    uint64_t tick_us;    /* when the next RAFT_TICK comes; UINT64_MAX: none does */
    unsigned vain_ticks; /* the last ones that left the deadline in the past */
    bool is_flush_due;
    unsigned crash_after; /* so many outputs; 0: it is not told to */
    uint64_t applied_us;  /* when the last APPLIED comes */
    struct raft_state state;
    bool is_making_snapshot;
    struct raft_disk *disk;
    struct osr_trace trace; /* of its core */
};

struct raft_member *raft_member_create(struct raft_world *world, uint32_t place, bool is_founder);
void raft_member_destroy(struct raft_member *member); /* NULL is a no-op */

static inline bool raft_member_is_up(const struct raft_member *member)
{
    return member->core != NULL;
}
/* It will never come back. */
static inline bool raft_member_is_lost(const struct raft_member *member)
{
    return member->is_rotten || member->is_retired;
}
bool raft_member_is_paused(const struct raft_member *member);
uint64_t raft_member_now_ms(const struct raft_member *member);
/* Its core says that it leads. */
bool raft_member_leads(const struct raft_member *member);
/* The newest that it knows: of its core or, where it is down, of its disk. */
void raft_member_configuration(const struct raft_member *member,
                               struct osr_raft_configuration *ret_configuration);

void raft_member_start(struct raft_member *member);
/* The process, or with it the machine. */
void raft_member_crash(struct raft_member *member, bool is_power_cut);
void raft_member_pause(struct raft_member *member, uint64_t until_us);
/* One of its events (raft_world.h). */
void raft_member_handle(struct raft_member *member, const struct raft_happening *happening);

/* ---- what others ask of it; it is up ---- */

void raft_member_step(struct raft_member *member, struct osr_raft_event *event);
void raft_member_propose(struct raft_member *member, uint64_t token, struct osr_slice command);
void raft_member_read(struct raft_member *member, uint64_t token);
void raft_member_change(struct raft_member *member, uint64_t token,
                        const struct osr_raft_change *change);
void raft_member_transfer(struct raft_member *member, uint64_t token, uint64_t target);

#endif
