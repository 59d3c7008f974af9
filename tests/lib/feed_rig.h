/* feed_rig.h -- the feed core alone, driven event by event: all that it puts out is kept for the
 * test to look at, and answered as a world without faults would, unless the test holds an answer
 * back. Keys are keyed hashes; peers are played by the test (feed_puppet.h). */
#ifndef OSR_TESTS_FEED_RIG_H
#define OSR_TESTS_FEED_RIG_H

#include "core/feed.h"

enum {
    OUTPUTS_MAX = 2048,
    RECORDS_MAX = 512,
    WINDOW_BYTES = 4096,
    BATCH_BYTES = 1024,
    RETRY_MS = 100,
    HEARTBEAT_MS = 1000,
    SILENCE_MS = 5000,
    PEERS_MAX = 8,
    OWN_NUMBER = 1, /* what our key and boot are made of; puppets have others */
};

#define TIME_MS 1767225600000u

/* What was put out, with what it pointed to. */
struct seen {
    struct osr_feed_output output;
    Osr__Frame *frame; /* of SEND; freed with the rig */
    enum osr_code code;
    char feed[OSR_INSTANCE_CHARS + 1]; /* whose, and which of theirs */
    char stream[OSR_STREAM_CHARS_MAX + 1];
};

struct rig {
    struct osr_feed *core;
    struct osr_public_key key;
    uint64_t now_ms;
    uint64_t time_ms;
    struct seen seen[OUTPUTS_MAX];
    size_t seen_count;
    enum osr_feed_stream stream; /* that is written into; kb unless a test says otherwise */
    /* A log of the records of one feed, the own one of kb unless a test says otherwise. */
    char log_feed[OSR_INSTANCE_CHARS + 1];
    enum osr_feed_stream log_stream;
    struct osr_buffer records[RECORDS_MAX];
    size_t record_count;
    struct osr_arena *arena;
    struct osr_buffer said; /* trace */
    /* Who may not lead, and who may not follow: instances; "": all may. */
    char no_leader[OSR_INSTANCE_CHARS + 1];
    char no_follower[OSR_INSTANCE_CHARS + 1];
    const char *barred_stream; /* what they may not; NULL: any stream */
    struct osr_slice binding;  /* of links that come up from now on */
    Osr__LinkPurpose purpose;  /* likewise */
    /* What the world answers. */
    bool hold_stores; /* nothing, until the test releases an answer */
    bool hold_signs;
    bool hold_verifies;
    bool hold_reads;
    enum osr_code store_code;
    /* To be answered, in order. */
    struct osr_feed_event answers[OUTPUTS_MAX];
    size_t answer_count;
    size_t answered;
};

/* For cmocka: started with an empty log, not started for tests that say what the log gives back,
 * and the end of both. */
int rig_set_up(void **state);
int rig_set_up_stopped(void **state);
int rig_tear_down(void **state);
struct rig *rig_create(void);
struct rig *rig_create_stopped(uint32_t peers_max);
void rig_start(struct rig *rig, const struct osr_feed_restored *feeds, size_t count);
void rig_destroy(struct rig *rig);

/* ---- driving ---- */

/* One event, and all answers that follow from it. */
void rig_step(struct rig *rig, const struct osr_feed_event *event);
/* Time passes, with every TICK that falls due. */
void rig_advance(struct rig *rig, uint64_t ms);
/* Into rig->stream: puts of so many bytes each, as one write that wants so many followers. */
void rig_write(struct rig *rig, uint64_t token, size_t count, size_t bytes, uint32_t acks);
void rig_flush(struct rig *rig);
/* A small one, flushed. */
void rig_write_one(struct rig *rig, uint64_t token);
void rig_link_up(struct rig *rig, uint32_t link, bool dialled);
void rig_link_down(struct rig *rig, uint32_t link);
/* From now on that instance may not lead, or not follow; NULL: all may. */
void rig_bar_leader(struct rig *rig, const char *instance);
void rig_bar_follower(struct rig *rig, const char *instance);
Osr__Frame frame_of(Osr__Frame__BodyCase body);
void rig_deliver(struct rig *rig, uint32_t link, const Osr__Frame *frame);

/* Gives the answer to the nth output of its type, which was held back. */
void rig_release_store(struct rig *rig, size_t nth);
void rig_release_sign(struct rig *rig, size_t nth);
void rig_release_verify(struct rig *rig, size_t nth);
void rig_answer_read(struct rig *rig, const struct osr_feed_output *output);

/* ---- looking ---- */

/* The nth output of a type; NULL where there are fewer. */
struct seen *rig_find(struct rig *rig, enum osr_feed_output_type type, size_t nth);
size_t rig_count(struct rig *rig, enum osr_feed_output_type type);
/* The last frame of a kind sent to a peer; NULL: none. */
const Osr__Frame *rig_find_frame(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body);
/* The trace has this text. */
bool rig_has_said(struct rig *rig, const char *text);
/* What was put out so far does not count any more. */
void rig_forget(struct rig *rig);

void assert_none(struct rig *rig, enum osr_feed_output_type type);
void assert_not_sent(struct rig *rig, uint32_t peer, Osr__Frame__BodyCase body);
/* The last ERROR sent to a peer. */
void assert_error_sent(struct rig *rig, uint32_t peer, enum osr_code code);
void assert_closed(struct rig *rig, uint32_t peer, enum osr_code code);
/* No link was closed. */
void assert_open(struct rig *rig);
/* The nth write to be answered: how, and with which first sequence (0: it has none). */
void assert_written(struct rig *rig, size_t nth, enum osr_code code, uint64_t first);
/* The nth COMMIT is of these entries of that feed. */
void assert_commit(struct rig *rig, size_t nth, const char *feed, uint64_t first, uint64_t last);
/* The last ACK, FETCH or UPDATE sent to a peer says this sequence. */
void assert_acked(struct rig *rig, uint32_t peer, uint64_t sequence);
void assert_fetched(struct rig *rig, uint32_t peer, uint64_t from);
void assert_sent_from(struct rig *rig, uint32_t peer, uint64_t first);

#endif
