/* trust_feed.h -- the feed of the stream "trust": what the CA's instance says of members and
 * revocations, and what it does to the credentials of everybody who follows it.
 *
 * Happy path, at the CA's instance: a credential changes -> osr_trust_feed_write -> a document
 * (trust_record.h) goes to the core -> stored, signed, committed: WRITTEN -> the change is durable.
 * Everywhere: a committed entry is released -> its credential is in force and written down as a
 * fact -> on_changed -> the cursor.
 *
 * Who leads: whoever `may_lead` names (the CA's certificate does, or the policy). It is asked
 * before anything is applied, so what somebody wrote who may not lead, or may not any more, is
 * nothing but bytes in the log; who comes to lead later is read from the cursor on.
 *
 * Cursor: fact "trust:<origin>:<epoch>", u64 sequence: every entry up to it is written down as
 * facts. What is behind it and committed is read from the log and applied at the start; applying
 * twice changes nothing. Until that is done osr_trust_feed_is_current says no, and nobody's entries
 * are taken: a revocation that is known here is in force before anything that it forbids.
 *
 * Not understood (a newer version wrote it): said once; what is understood goes on. The cursor
 * stays before the first such entry, so that a newer osirisd here reads it at its start.
 *
 * Where this instance leads nothing, all changes are facts as before, and stay here.
 *
 * Limits: entries are read in chunks; the facts of one chunk are written before the next is read.
 *
 * Threads: the loop's; the log is read on one of its own, but for what is still in memory. */
#ifndef OSR_NODE_TRUST_FEED_H
#define OSR_NODE_TRUST_FEED_H

#include "node/credentials.h"
#include "node/journal.h"

struct osr_trust_feed;

struct osr_trust_feed_options {
    uv_loop_t *loop;
    struct osr_journal *journal;
    const char *instance;               /* its own id */
    uint64_t (*time_ms)(void *context); /* since 1970 */
    /* Whether this instance's stream "trust" counts. */
    bool (*may_lead)(void *context, const char *instance);
    /* Hands a WRITE of one put to the core; osr_trust_feed_written answers with the same token,
     * once, perhaps from within. The put lives until the return. */
    void (*write)(void *context, uint64_t token, const struct osr_feed_put *put);
    /* Credentials are others now, or it has become current: who is in may not be let in any more.
     */
    void (*on_changed)(void *context);
    void *context;
    const struct osr_trace *trace;
};

/* After a failure, too, the loop must run once more. */
int osr_trust_feed_open(const struct osr_trust_feed_options *options,
                        struct osr_trust_feed **ret_trust, struct osr_err *err);
/* What it applies to, before anything else is called; they are made with osr_trust_feed_write as
 * their port. */
void osr_trust_feed_set_credentials(struct osr_trust_feed *trust,
                                    struct osr_credentials *credentials);
/* Ends the changes under way with CANCELLED, and those that still begin. Before the journal's
 * close; free it after that, when the loop has run. NULL is a no-op for both. */
void osr_trust_feed_close(struct osr_trust_feed *trust);
void osr_trust_feed_free(struct osr_trust_feed *trust);

/* For struct osr_credential_port; the context is the trust feed. */
void osr_trust_feed_write(void *context, const char *key, struct osr_slice value,
                          void (*written)(void *context, enum osr_code code),
                          void *written_context);
/* From the core's WRITTEN. */
void osr_trust_feed_written(struct osr_trust_feed *trust, uint64_t token, enum osr_code code);
/* From the journal's on_release, for a batch of the stream. */
void osr_trust_feed_released(struct osr_trust_feed *trust, const struct osr_batch *batch);
/* A feed of the stream that the log had at the start is committed up to here ... */
void osr_trust_feed_restored(struct osr_trust_feed *trust, const struct osr_feed_id *feed,
                             uint64_t sequence);
/* ... and now it has been told all of them. */
void osr_trust_feed_start(struct osr_trust_feed *trust);
/* Others may lead than before. */
void osr_trust_feed_review(struct osr_trust_feed *trust);

/* Whether changes made here go to all members. */
bool osr_trust_feed_leads(const struct osr_trust_feed *trust);
/* Whether all that counts of what was in the log at the start is in force. */
bool osr_trust_feed_is_current(const struct osr_trust_feed *trust);

#endif
