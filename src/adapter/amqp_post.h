/* amqp_post.h -- the two queues between the loop and the thread of an AMQP bus, and what else both
 * touch: all of it under one lock, with an eventfd to wake either side.
 *
 * Sessions: each time the thread has reached the broker it begins a new one, by which what the loop
 * hands over for an older one is dropped: a stale acknowledgement never meets a new channel. */
#ifndef OSR_ADAPTER_AMQP_POST_H
#define OSR_ADAPTER_AMQP_POST_H

#include "adapter/amqp_mail.h"

struct osr_amqp_post;

int osr_amqp_post_create(struct osr_amqp_post **ret_post, struct osr_err *err);
void osr_amqp_post_destroy(struct osr_amqp_post *post); /* NULL is a no-op */

/* ---- the loop's side ---- */

int osr_amqp_post_loop_fd(const struct osr_amqp_post *post); /* readable: there is mail to take */
/* PUBLISH and ACKNOWLEDGE; takes the mail over. Past OSR_BUS_QUEUE_BYTES_MAX the connection is cut:
 * DOWN comes. */
void osr_amqp_post_send(struct osr_amqp_post *post, uint64_t session, struct osr_amqp_mail *mail);
/* Of links: all messages up to this number have been handed on. */
void osr_amqp_post_acknowledge_up_to(struct osr_amqp_post *post, uint64_t session, uint64_t number);
/* All there is, for the caller. */
struct osr_amqp_mail_list osr_amqp_post_take_all(struct osr_amqp_post *post);
/* So many bytes of what was taken are no longer held: back-pressure ends where they were many. */
void osr_amqp_post_let_go(struct osr_amqp_post *post, size_t bytes);
/* Has the loop called again, though nothing has come. */
void osr_amqp_post_wake_loop(struct osr_amqp_post *post);
/* Past OSR_BUS_QUEUE_BYTES, or the broker takes nothing: DRAINED follows. */
bool osr_amqp_post_is_full(struct osr_amqp_post *post);
/* What is queued may still go out, then the thread is to end. */
void osr_amqp_post_stop(struct osr_amqp_post *post);
/* No longer: what the thread is blocked in fails. */
void osr_amqp_post_cut(struct osr_amqp_post *post);

/* ---- the thread's side ---- */

int osr_amqp_post_thread_fd(const struct osr_amqp_post *post);
void osr_amqp_post_clear_thread_fd(struct osr_amqp_post *post);
/* What is to be shut down when all is cut; the caller keeps it open until the end of the session.
 */
void osr_amqp_post_set_socket(struct osr_amqp_post *post, int socket);
uint64_t osr_amqp_post_begin_session(struct osr_amqp_post *post); /* its number */
/* What is still queued is dropped. */
void osr_amqp_post_end_session(struct osr_amqp_post *post);
/* Takes the mail over. */
void osr_amqp_post_deliver(struct osr_amqp_post *post, struct osr_amqp_mail *mail);
struct osr_amqp_mail *osr_amqp_post_take(struct osr_amqp_post *post); /* NULL: nothing */
/* What the broker says of itself (connection.blocked). */
void osr_amqp_post_set_blocked(struct osr_amqp_post *post, bool is_blocked);

/* What a look at the post tells the thread. */
struct osr_amqp_post_state {
    bool is_stopping;
    bool is_overfull;      /* the loop queued past OSR_BUS_QUEUE_BYTES_MAX */
    bool has_mail;         /* for osr_amqp_post_take */
    bool may_deliver;      /* less than OSR_BUS_QUEUE_BYTES_MAX is held by the loop */
    uint64_t acknowledged; /* osr_amqp_post_acknowledge_up_to, in this session; 0: none */
};
struct osr_amqp_post_state osr_amqp_post_look(struct osr_amqp_post *post);

#endif
