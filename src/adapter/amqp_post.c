#include "adapter/amqp_post.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct osr_amqp_post {
    int to_loop; /* eventfd */
    int to_thread;

    uv_mutex_t lock; /* guards all below */
    struct osr_amqp_mail_list outgoing;
    struct osr_amqp_mail_list incoming;
    size_t held; /* bytes delivered that the loop has not let go of */
    uint64_t session;
    uint64_t acknowledged;
    int socket; /* of the session, -1 between two */
    bool is_up;
    bool is_blocked;
    bool is_overfull;
    bool is_stopping;
    bool is_cut;
    bool wants_drained; /* the loop was told that it is full */
};

int osr_amqp_post_create(struct osr_amqp_post **ret_post, struct osr_err *err)
{
    struct osr_amqp_post *post = osr_alloc(sizeof(*post));
    post->socket = -1;
    post->to_loop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    post->to_thread = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (post->to_loop < 0 || post->to_thread < 0) {
        osr_err_errno(err, OSR_UNAVAILABLE, errno, "cannot make an eventfd");
        goto fail_eventfd;
    }
    if (uv_mutex_init(&post->lock) != 0) {
        abort(); /* fails only for lack of memory, which ends the process anyway */
    }
    *ret_post = post;
    return 0;

fail_eventfd:
    if (post->to_loop >= 0) {
        close(post->to_loop);
    }
    if (post->to_thread >= 0) {
        close(post->to_thread);
    }
    free(post);
    return OSR_UNAVAILABLE;
}

void osr_amqp_post_destroy(struct osr_amqp_post *post)
{
    if (post == NULL) {
        return;
    }
    osr_amqp_mail_list_clear(&post->outgoing);
    osr_amqp_mail_list_clear(&post->incoming);
    uv_mutex_destroy(&post->lock);
    close(post->to_thread);
    close(post->to_loop);
    free(post);
}

static bool is_full(const struct osr_amqp_post *post)
{
    return post->is_blocked || post->outgoing.bytes >= OSR_BUS_QUEUE_BYTES;
}

int osr_amqp_post_loop_fd(const struct osr_amqp_post *post)
{
    return post->to_loop;
}

void osr_amqp_post_send(struct osr_amqp_post *post, uint64_t session, struct osr_amqp_mail *mail)
{
    uv_mutex_lock(&post->lock);
    bool was_empty = post->outgoing.first == NULL;
    if (!post->is_up || post->session != session || post->is_overfull) {
        osr_amqp_mail_destroy(mail);
    } else if (post->outgoing.bytes + osr_amqp_mail_bytes(mail) > OSR_BUS_QUEUE_BYTES_MAX) {
        osr_amqp_mail_destroy(mail);
        post->is_overfull = true;
        shutdown(post->socket, SHUT_RDWR);
    } else {
        osr_amqp_mail_list_add(&post->outgoing, mail);
    }
    uv_mutex_unlock(&post->lock);
    if (was_empty) {
        eventfd_write(post->to_thread, 1);
    }
}

void osr_amqp_post_acknowledge_up_to(struct osr_amqp_post *post, uint64_t session, uint64_t number)
{
    uv_mutex_lock(&post->lock);
    if (post->is_up && post->session == session) {
        post->acknowledged = number;
    }
    uv_mutex_unlock(&post->lock);
    eventfd_write(post->to_thread, 1);
}

struct osr_amqp_mail_list osr_amqp_post_take_all(struct osr_amqp_post *post)
{
    eventfd_t count;
    eventfd_read(post->to_loop, &count);
    uv_mutex_lock(&post->lock);
    struct osr_amqp_mail_list all = post->incoming;
    post->incoming = (struct osr_amqp_mail_list){0};
    uv_mutex_unlock(&post->lock);
    return all;
}

static bool may_deliver(const struct osr_amqp_post *post)
{
    return post->held < OSR_BUS_QUEUE_BYTES_MAX;
}

void osr_amqp_post_let_go(struct osr_amqp_post *post, size_t bytes)
{
    uv_mutex_lock(&post->lock);
    bool could_deliver = may_deliver(post);
    post->held -= bytes;
    bool is_wanted = !could_deliver && may_deliver(post);
    uv_mutex_unlock(&post->lock);
    if (is_wanted) {
        eventfd_write(post->to_thread, 1);
    }
}

void osr_amqp_post_wake_loop(struct osr_amqp_post *post)
{
    eventfd_write(post->to_loop, 1);
}

bool osr_amqp_post_is_full(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    bool result = is_full(post);
    post->wants_drained = post->wants_drained || result;
    uv_mutex_unlock(&post->lock);
    return result;
}

void osr_amqp_post_stop(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    post->is_stopping = true;
    uv_mutex_unlock(&post->lock);
    eventfd_write(post->to_thread, 1);
}

void osr_amqp_post_cut(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    post->is_cut = true;
    if (post->socket >= 0) {
        shutdown(post->socket, SHUT_RDWR);
    }
    uv_mutex_unlock(&post->lock);
    eventfd_write(post->to_thread, 1);
}

int osr_amqp_post_thread_fd(const struct osr_amqp_post *post)
{
    return post->to_thread;
}

void osr_amqp_post_clear_thread_fd(struct osr_amqp_post *post)
{
    eventfd_t count;
    eventfd_read(post->to_thread, &count);
}

void osr_amqp_post_set_socket(struct osr_amqp_post *post, int socket)
{
    uv_mutex_lock(&post->lock);
    post->socket = socket;
    if (post->is_cut) {
        shutdown(socket, SHUT_RDWR);
    }
    uv_mutex_unlock(&post->lock);
}

uint64_t osr_amqp_post_begin_session(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    post->acknowledged = 0;
    post->is_up = true;
    post->is_overfull = false;
    uint64_t session = ++post->session;
    uv_mutex_unlock(&post->lock);
    return session;
}

void osr_amqp_post_end_session(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    osr_amqp_mail_list_clear(&post->outgoing);
    post->socket = -1;
    post->is_up = false;
    post->is_blocked = false;
    uv_mutex_unlock(&post->lock);
}

/* Confirmations are cumulative: a later one stands for those that the loop has not seen yet. */
static bool merge_confirmation(struct osr_amqp_mail_list *list, const struct osr_amqp_mail *mail)
{
    if (mail->kind != OSR_AMQP_CONFIRMED || list->first == NULL ||
        list->last->kind != OSR_AMQP_CONFIRMED) {
        return false;
    }
    list->last->number = mail->number;
    return true;
}

void osr_amqp_post_deliver(struct osr_amqp_post *post, struct osr_amqp_mail *mail)
{
    uv_mutex_lock(&post->lock);
    bool was_empty = post->incoming.first == NULL;
    if (merge_confirmation(&post->incoming, mail)) {
        osr_amqp_mail_destroy(mail);
    } else {
        if (mail->kind == OSR_AMQP_MESSAGE) {
            post->held += osr_amqp_mail_bytes(mail);
        }
        osr_amqp_mail_list_add(&post->incoming, mail);
    }
    uv_mutex_unlock(&post->lock);
    if (was_empty) {
        eventfd_write(post->to_loop, 1);
    }
}

/* Under the lock: whether the loop waits for DRAINED and may have it. */
static bool take_drained(struct osr_amqp_post *post)
{
    bool is_due = post->wants_drained && !is_full(post);
    if (is_due) {
        post->wants_drained = false;
    }
    return is_due;
}

struct osr_amqp_mail *osr_amqp_post_take(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    struct osr_amqp_mail *mail = osr_amqp_mail_list_take(&post->outgoing);
    bool is_drained = take_drained(post);
    uv_mutex_unlock(&post->lock);
    if (is_drained) {
        osr_amqp_post_deliver(post, osr_amqp_mail_create(OSR_AMQP_DRAINED, 0));
    }
    return mail;
}

void osr_amqp_post_set_blocked(struct osr_amqp_post *post, bool is_blocked)
{
    uv_mutex_lock(&post->lock);
    post->is_blocked = is_blocked;
    bool is_drained = take_drained(post);
    uv_mutex_unlock(&post->lock);
    if (is_drained) {
        osr_amqp_post_deliver(post, osr_amqp_mail_create(OSR_AMQP_DRAINED, 0));
    }
}

struct osr_amqp_post_state osr_amqp_post_look(struct osr_amqp_post *post)
{
    uv_mutex_lock(&post->lock);
    struct osr_amqp_post_state state = {
        .is_stopping = post->is_stopping,
        .is_overfull = post->is_overfull,
        .has_mail = post->outgoing.first != NULL,
        .may_deliver = may_deliver(post),
        .acknowledged = post->acknowledged,
    };
    uv_mutex_unlock(&post->lock);
    return state;
}
