/* instance_parts.h -- what the parts of a simulated instance know of one another: the glue
 * (instance.c), its log thread (instance_log.c), what it makes of a log after a crash
 * (instance_restore.c), what it reads back from it (instance_feeds.c), and who has leave
 * (instance_access.c). */
#ifndef OSR_TESTS_INSTANCE_PARTS_H
#define OSR_TESTS_INSTANCE_PARTS_H

#include "adapter/wal.h"
#include "sim/instance.h"

/* A feed in the log. Its log id is its number + 1. */
struct sim_log {
    bool named; /* the log says what the id stands for */
    struct osr_public_key public_key;
    struct osr_feed_id id;
    struct osr_buffer heads; /* of struct sim_head, ascending */
    uint64_t appended;       /* last entry in the log */
    uint64_t synced;         /* last entry that no crash can take; outlives crashes */
    uint64_t promised;       /* furthest that was acknowledged; outlives crashes */
};

struct sim_head {
    uint64_t sequence;
    struct osr_signature signature;
};

/* A STORE or a TRUNCATE on its way through the log thread. */
struct sim_job {
    uint64_t ticket;
    size_t feed;
    bool truncate;
    uint64_t sequence; /* to truncate to */
    struct osr_batch batch;
    struct osr_public_key public_key;
    struct sim_head head;
    bool doomed; /* a STORE of the same feed before it failed */
    enum osr_code code;
};

enum log_stage { LOG_IDLE, LOG_APPEND, LOG_SYNC, LOG_ANSWER };

struct sim_read {
    size_t feed;
    uint64_t first;
    uint64_t last;
    size_t bytes_max;
    struct osr_hash last_chain;
    struct osr_signature last_signature;
};

struct sim_instance {
    struct world *world;
    uint32_t index;
    char name[8];
    char id[OSR_INSTANCE_CHARS + 1];
    struct osr_public_key public_key;
    struct sim_options options;
    struct osr_sim_disk *disk;
    bool slow;
    uint32_t life;

    struct osr_feed *core; /* NULL: not up */
    struct osr_wal *wal;
    struct sim_log logs[SIM_FEEDS_MAX];
    struct store *store;
    struct osr_arena *arena;

    struct sim_job *jobs; /* in order */
    size_t job_count;
    size_t job_capacity;
    size_t jobs_in_group; /* appended, wait for the sync */
    enum log_stage stage;
    uint64_t tick_at_ms; /* of the TICK that is scheduled; UINT64_MAX: none */

    /* Which feeds may not be led here, and behind which entry; which streams an instance may not
     * follow, by the number of the feed of its own in that stream. Outlive crashes. */
    bool barred_leaders[SIM_FEEDS_MAX];
    uint64_t barred_behind[SIM_FEEDS_MAX];
    bool barred_followers[SIM_FEEDS_MAX];
};

/* Of the payload of a LOG record: the key, and the origin. The log's id says which stream. */
enum { LOG_RECORD_SIZE = OSR_PUBLIC_KEY_SIZE + OSR_INSTANCE_CHARS };

/* ---- instance.c ---- */

/* Steps the core and carries out what it wants. */
void sim_instance_step(struct sim_instance *instance, struct osr_feed_event *event);
/* Of this life of the instance: void after a crash. */
void sim_instance_schedule(struct sim_instance *instance, uint64_t low_us, uint64_t high_us,
                           struct world_event event);

/* ---- instance_log.c ---- */

uint32_t sim_log_id(size_t feed);
size_t sim_log_head_count(const struct sim_log *log);
struct sim_head sim_log_head_at(const struct sim_log *log, size_t index);
void sim_log_add_head(struct sim_log *log, uint64_t sequence,
                      const struct osr_signature *signature);
void sim_log_drop_heads_behind(struct sim_log *log, uint64_t sequence);
/* Its sequence; 0: there is none. */
uint64_t sim_log_last_head(const struct sim_log *log);

/* A job behind all others, to be filled before begin. */
struct sim_job *sim_log_add_job(struct sim_instance *instance);
void sim_log_begin(struct sim_instance *instance);
/* WORLD_LOG: the log thread takes its next step. */
void sim_log_continue(struct sim_instance *instance);
/* The process dies: nobody is answered. */
void sim_log_drop_jobs(struct sim_instance *instance);

/* ---- instance_restore.c ---- */

/* Opens the log and reads what it knows. False where the disk failed under it. */
bool sim_log_open(struct sim_instance *instance);
/* What was acknowledged before the crash must be there. */
void sim_log_check_promises(const struct sim_instance *instance, size_t feed);
/* ret_older has room for OSR_FEED_UNVERIFIED_MAX. */
struct osr_feed_restored sim_log_restored_feed(struct sim_instance *instance, size_t feed,
                                               struct osr_feed_head *ret_older);

/* ---- instance_access.c ---- */

struct osr_feed_access sim_instance_access(struct sim_instance *instance);
/* Up to `last` of that feed is committed: was it taken with leave? */
void sim_instance_check_leave_of(const struct sim_instance *instance, size_t feed, uint64_t last);
/* Entries go out on that link: may who is there have them? */
void sim_instance_check_leave_to(const struct sim_instance *instance, uint32_t link,
                                 enum osr_feed_stream stream);
bool sim_instance_bars_followers(const struct sim_instance *instance);

/* ---- instance_feeds.c ---- */

/* COMMIT: what is in the log now counts, and is shown. */
void sim_instance_show(struct sim_instance *instance, const struct osr_feed_id *id, uint64_t first,
                       uint64_t last);
/* READ: entries of the log for a follower. */
void sim_instance_relay(struct sim_instance *instance, uint64_t ticket,
                        const struct sim_read *read);

#endif
